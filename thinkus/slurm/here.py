"""What a job in SLURM's queue knows of itself."""

import os


def node() -> int:
    """Among those of the job; the first does what only one can."""
    return int(os.environ["SLURM_NODEID"])


def job() -> str:
    """As squeue and scancel call it."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]


def launch() -> str:
    """Which start of which job this is: one that was requeued keeps its number."""
    return f"{os.environ['SLURM_JOB_ID']}.{restarts()}"


def restarts() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def address() -> str:
    """Of the first node, as all the others reach it: their output goes there already."""
    return os.environ["SLURM_LAUNCH_NODE_IPADDR"]
