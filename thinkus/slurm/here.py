"""What a job in SLURM's queue knows of itself."""

import os


def node() -> int:
    """Among those of the job; the first does what only one can."""
    return int(os.environ["SLURM_NODEID"])


def launch() -> str:
    """Which start of which job this is: one that was requeued keeps its number."""
    return f"{os.environ['SLURM_JOB_ID']}.{restarts()}"


def restarts() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def address() -> str:
    """Of the first node, as all the others reach it: their output goes there already."""
    return os.environ["SLURM_LAUNCH_NODE_IPADDR"]
