"""A real SLURM for the tests: private, on this one machine, gone without a trace afterwards.

    with Cluster(folder) as cluster:
        subprocess.run(["sbatch", ...], env=os.environ | cluster.environment)

Or by hand: `python tests/cluster.py FOLDER` starts one, until Ctrl-C.

It needs root and Debian's slurm-wlm and munge, but none of their services, and nothing in /etc
or /var. Each daemon runs in the foreground under a warden: it ends, with all jobs that it
started, when we do, however we end.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from thinkus import warden

START_WITHIN_S = 60.0
KILL_WAIT_S = 10
"""Between SIGTERM and SIGKILL, for jobs that are cancelled or run out of time."""
LONGEST_FOLDER = 75
"""Each step has a socket in it, near1/near1_JOB.STEP, and Linux allows such paths 107 bytes."""
SBIN = ("/usr/sbin", "/sbin")  # where the daemons are; not always on PATH

CONFIGURATION = """
ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for as long as credentials live; of itself two minutes.
AuthInfo=socket={folder}/munge.socket,cred_expire=5

StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
MailProg=/bin/true

ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none

SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
JobRequeue=1
KillWait={kill_wait}
OverTimeLimit=0
MinJobAge=600
ReturnToService=2
# More cores than there are.
SlurmdParameters=config_overrides

{nodes}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=spare Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
    "Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=8000 State=UNKNOWN"
)


def missing() -> str | None:
    """Why there can be no cluster here, and how to get one."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    absent = [name for name in programs if not _program(name)]
    if absent:
        return f"{', '.join(absent)}: not there; apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "SLURM's daemons start jobs only as root; run this as root"
    return None


class Cluster:
    """Nodes near1, near2, ..., in the partitions main (the default) and spare, which preempts it."""

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 4) -> None:
        self._folder = folder.resolve()
        self._cpus = cpus
        self.nodes = [f"near{number}" for number in range(1, nodes + 1)]
        self.environment = {"SLURM_CONF": str(self._folder / "slurm.conf")}
        """What makes sbatch and the others speak to this cluster; jobs have it as well."""
        self._daemons = ExitStack()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._configure()
        try:
            self._start_daemons()
        except BaseException:
            self._daemons.close()
            raise

    def stop(self) -> None:
        """Jobs are cancelled, as their owner would; whatever they leave is killed."""
        with suppress(subprocess.SubprocessError):
            self._ask("scancel", "--user=root")
            wait_for(lambda: not self._ask("squeue", "--noheader"), KILL_WAIT_S + 5)
        self._daemons.close()

    def _configure(self) -> None:
        if len(os.fsencode(self._folder)) > LONGEST_FOLDER:
            raise ValueError(f"{self._folder}: longer than {LONGEST_FOLDER} bytes; sockets cannot lie there")
        for name in ("state", *self.nodes):  # none is there yet: a cluster must not wake up with old jobs
            (self._folder / name).mkdir(parents=True)
        key = self._folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        host = socket.gethostname().partition(".")[0]
        port, *ports = _free_ports(1 + len(self.nodes))
        nodes = [
            NODE.format(name=name, host=host, port=node_port, cpus=self._cpus)
            for name, node_port in zip(self.nodes, ports, strict=True)
        ]
        (self._folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=host, port=port, folder=self._folder, kill_wait=KILL_WAIT_S, nodes="\n".join(nodes)
            )
        )
        # slurmd wants to know, even where jobs are kept without cgroups.
        (self._folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def _start_daemons(self) -> None:
        munge = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munged.seed",
        }
        files = [f"--{option}={self._folder / name}" for option, name in munge.items()]
        # --force: the folder is ours alone, and it wants others to be let in.
        self._start("munged", "munged", "--foreground", "--force", *files)
        self._wait_until_up((self._folder / "munge.socket").is_socket)
        self._start("slurmctld", "slurmctld", "-D")
        self._wait_until_up(lambda: "UP" in self._ask("scontrol", "ping"))
        for node in self.nodes:
            self._start(node, "slurmd", "-D", "-N", node)
        look = ("sinfo", "--Node", "--noheader", "--partition=main", "--format=%T")
        self._wait_until_up(lambda: self._ask(*look).split() == ["idle"] * len(self.nodes))

    def _start(self, name: str, program: str, *words: str) -> None:
        self._running[name] = self._daemons.enter_context(
            _under_a_warden(
                [_program(program) or program, *words],
                os.environ | self.environment,
                self._folder / f"{name}.stderr",
            )
        )

    def _wait_until_up(self, is_up: Callable[[], bool]) -> None:
        def is_settled() -> bool:
            for name, process in self._running.items():
                if process.poll() is not None:
                    said = (self._folder / f"{name}.stderr").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended: {said[-2000:]}")
            return is_up()

        if not wait_for(is_settled, START_WITHIN_S):
            raise RuntimeError(f"no cluster after {START_WITHIN_S:.0f} s; the logs are in {self._folder}")

    def _ask(self, *command: str) -> str:
        finished = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=10
        )
        return finished.stdout


@contextmanager
def _under_a_warden(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-I", warden.__file__, "--", *command],
            env=environment,
            stdin=subprocess.PIPE,  # closed at the end, which is what the warden waits for
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us
        ) as process,
    ):
        yield process


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *SBIN)))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]


def wait_for(is_so: Callable[[], bool], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
    return True


def main() -> int:
    if len(sys.argv) != 2:
        print("python tests/cluster.py FOLDER", file=sys.stderr)
        return 2
    if why := missing():
        print(why, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Cluster(Path(sys.argv[1])) as cluster:
        for name, value in cluster.environment.items():
            print(f"export {name}={value}", flush=True)
        while True:
            time.sleep(3600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
