"""What schedulers send before they take a machine away: TERM, and in SLURM's queue USR2."""

import signal
from types import FrameType

from thinkus.errors import Stopped

SENT_BY_SCHEDULERS = (signal.SIGTERM, signal.SIGUSR2)


def heed() -> None:
    """From now on the first of them raises Stopped; those that follow must not disturb whoever is saving."""
    for number in SENT_BY_SCHEDULERS:
        signal.signal(number, _stop)


def ignore() -> None:
    for number in SENT_BY_SCHEDULERS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _: FrameType | None) -> None:
    ignore()
    raise Stopped(number)
