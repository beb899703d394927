"""What schedulers send before they take a machine away: TERM, and in SLURM's queue USR2."""

import signal
from types import FrameType

from thinkus.errors import Stopped

SENT_BY_SCHEDULERS = (signal.SIGTERM, signal.SIGUSR2)
AGAIN_AFTER_S = 0.02


def heed() -> None:
    """From now on the first of them raises Stopped; those that follow must not disturb whoever is saving."""
    for number in SENT_BY_SCHEDULERS:
        signal.signal(number, _stop)


def ignore() -> None:
    for number in SENT_BY_SCHEDULERS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        # Some modules (numpy's among them) go on after whatever is raised while they load: it would be lost.
        signal.signal(signal.SIGALRM, lambda _, later: _stop(number, later))
        signal.setitimer(signal.ITIMER_REAL, AGAIN_AFTER_S)
        return
    ignore()
    raise Stopped(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
