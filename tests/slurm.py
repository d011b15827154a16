"""A real Slurm on this computer: munge, a controller and one node, started by the tests and ended by them.

They are Debian's, with a configuration, a key and ports of their own, and go as whoever runs the tests.
"""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.archives.serving import held_port, port_of

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
AT_ONCE = 2
"""So many tasks run at once: the node has so many CPUs and so many GPUs, whatever this computer has."""
_SECONDS = 600  # for what takes a moment, and on a busy computer a minute or two
_SETTINGS = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobFileAppend=1
MinJobAge=86400
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:2 State=UNKNOWN
PartitionName=usual Nodes=one Default=YES PriorityTier=1
PartitionName=urgent Nodes=one PriorityTier=2
"""


class DoesNotStart(Exception):
    """Slurm does not start on this computer."""


def why_not() -> str | None:
    """Why Slurm cannot be started here; None if it may be tried."""
    if any(shutil.which(name) is None for name in PROGRAMS):
        return "slurmctld, slurmd, slurm-client and munge (Debian) are not on this machine"
    return None


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that takes a moment.

    Raises:
        TimeoutError: if it does not come.
    """
    until = time.monotonic() + _SECONDS
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.1)


class Slurm:
    """A cluster of one node; jobs in the partition ``urgent`` take the place of those in ``usual``, its default."""

    def __init__(self, folder: Path) -> None:
        """Start it, and return when it takes jobs.

        Raises:
            DoesNotStart: with the end of the log that says why.
        """
        self._folder, self._held = folder, [held_port(), held_port()]
        self._daemons: list[subprocess.Popen[bytes]] = []
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        key, settings = folder / "munge.key", folder / "slurm.conf"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")  # which stand for two
        ports = dict(zip(("controller_port", "node_port"), map(port_of, self._held), strict=True))
        names = {"host": socket.gethostname().partition(".")[0], "user": getpass.getuser(), "folder": folder}
        settings.write_text(_SETTINGS.format(**names, **ports))
        others = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
        self.environment = others | {"SLURM_CONF": str(settings)}
        try:
            own = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "seed", "log")]
            # forced, as folders of tests are closed to other users
            self._start("munged", "--foreground", "--force", f"--socket={folder}/munge.sock", *own)
            self._wait(lambda: (folder / "munge.sock").exists())
            self._start("slurmctld", "-D", "-f", str(settings))
            self._start("slurmd", "-D", "-f", str(settings), "-N", "one")
            self._wait(lambda: "State=IDLE " in self._asked("scontrol", "show", "node", "one"))
        except BaseException:
            self.close()
            raise

    def _start(self, *words: str) -> None:
        with (self._folder / f"{words[0]}.out").open("wb") as log:
            self._daemons.append(subprocess.Popen(words, stdout=log, stderr=log, env=self.environment))

    def _wait(self, holds: Callable[[], bool]) -> None:
        """Wait for a daemon.

        Raises:
            DoesNotStart: if one of them ends, or does nothing.
        """

        def stands() -> bool:
            for daemon in self._daemons:
                if daemon.poll() is not None:
                    raise DoesNotStart(self._last_line(daemon.args[0]))
            return holds()

        try:
            wait_until(stands)
        except TimeoutError:
            raise DoesNotStart(self._last_line(self._daemons[:2][-1].args[0])) from None  # the controller knows

    def _last_line(self, daemon: str) -> str:
        lines = (self._folder / f"{daemon}.out").read_text(errors="replace").splitlines()
        return f"{daemon}: {next((line for line in reversed(lines) if 'error' in line.lower()), 'no answer')}"

    def _asked(self, *words: str) -> str:
        """What a program of Slurm prints; nothing if it fails, as while daemons start."""
        return subprocess.run(words, env=self.environment, capture_output=True, text=True).stdout

    def run(self, *words: str, folder: Path, **more: str) -> str:
        """Run a command that must succeed in a folder, with more in its environment; return what it prints."""
        environment = self.environment | more
        ran = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs, the ended ones too, as ``scontrol`` describes them; tasks of an array are jobs of their own."""
        lines = self._asked("scontrol", "show", "job", "--oneliner").splitlines()
        return [dict(word.partition("=")[::2] for word in line.split()) for line in lines if "=" in line]

    def is_done(self) -> bool:
        """Whether all jobs have ended; one that was put back into the queue begins at once, not after two minutes."""
        jobs = self.jobs()
        for job in jobs:
            if job["JobState"] == "PENDING" and job["Reason"] == "BeginTime":
                self._asked("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")
        return not any(job["JobState"] in ("PENDING", "RUNNING", "COMPLETING") for job in jobs)

    def close(self) -> None:
        """End all jobs and daemons, and what they started."""
        if len(self._daemons) > 1 and all(daemon.poll() is None for daemon in self._daemons):
            self._asked("scancel", "--user", getpass.getuser())
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(_SECONDS)
        for process in psutil.process_iter():
            try:
                if process.environ().get("SLURM_CONF") == self.environment["SLURM_CONF"]:
                    process.kill()
            except psutil.Error:  # it has ended, or is somebody else's
                continue
        for held in self._held:
            held.close()
