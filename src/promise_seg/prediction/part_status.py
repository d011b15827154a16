"""How far predictions in parts are, over all processes: read from their logs and claims, and changing nothing."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.claims import claims_in
from promise_seg.images.own_folders import PREDICTION_PARTS
from promise_seg.prediction.part_logs import ALL_LOGS, LogReader
from promise_seg.prediction.part_plan import PartPlan
from promise_seg.processes import is_running, system_name
from promise_seg.progress import Progress, silent

WINDOW_SECONDS = 600.0
"""Over how long the rate is taken, unless the processes began later."""
_PAUSE_SECONDS = 60.0
"""How long a process that has claimed nothing may log nothing, and still counts for the rate of all."""
_SHOWN_EVERY = 1000


@dataclass(frozen=True)
class Worker:
    """A process that predicts, or did so.

    Args:
        host: the name of its computer.
        process: its number there.
        part: that it was given, as ``K/N``.
        done: the images that it predicted.
        per_minute: how many of them in a minute, over the last minutes; if it is gone, until its last image.
        claims: the images that it has claimed now.
        silent_seconds: since it last logged an image; since its start if it logged none.
    """

    host: str
    process: int
    part: str
    done: int
    per_minute: float
    claims: int
    silent_seconds: float

    @property
    def is_at_work(self) -> bool:
        """Whether it has claimed images now."""
        return self.claims > 0


@dataclass(frozen=True)
class PartStatus:
    """The state of predictions in parts.

    Args:
        images: in the list of all parts.
        done: how many of them a log says are predicted; only merging looks whether their files are there.
        failed: those of which the last word is a problem.
        per_minute: how many images the processes that are at work predict in a minute, over the last minutes.
        workers: the processes that are at work or logged something in the last minutes, by host and number.
        damaged: lines of logs that could not be read.
    """

    images: int
    done: int
    failed: int
    per_minute: float
    workers: tuple[Worker, ...]
    damaged: int

    @property
    def missing(self) -> int:
        """The images that nobody has predicted yet, or tried to."""
        return self.images - self.done - self.failed

    @property
    def seconds_left(self) -> float | None:
        """How long the missing images take at this rate; ``None`` if nothing was predicted lately, or nobody works."""
        if not self.missing:
            return 0.0
        return 60 * self.missing / self.per_minute if self.per_minute else None


def status_of_parts(folder: str | Path, progress: Progress = silent) -> PartStatus:
    """Read how far predictions in parts are, also while their processes are at work.

    Of each image, two numbers are held in memory.

    Args:
        folder: of the predictions.
        progress: told of what is read.

    Raises:
        PromiseError: if the folder holds no parts, or a log cannot be read.
    """
    folder = Path(folder)
    plan, now = PartPlan.read(folder), time.time()
    claims = Counter((holder.host, holder.pid) for holder in claims_in(folder / PREDICTION_PARTS / "claims"))
    reader, latest = LogReader(folder), dict[int, float]()  # by hash of the stem: when; negative of a problem
    logs, count = list[_Log](), 0
    for path in sorted((folder / PREDICTION_PARTS).glob(ALL_LOGS)):
        log = _Log(now)
        for entry in reader.new_entries(path.name):
            name = hash(entry.stem)
            if entry.at >= abs(latest.get(name, 0.0)):
                latest[name] = -entry.at if entry.problem else entry.at
            log.take_in(entry.at, bool(entry.problem))
            count += 1
            if count % _SHOWN_EVERY == 0:
                progress("reading", min(count, plan.inputs), plan.inputs)
        for header in reader.headers:
            log.take_in_header(header)
        reader.headers.clear()
        logs.append(log)
    found = [latest.get(hash(stem), 0.0) for stem, _ in plan.listed(folder)]
    workers = tuple(sorted(_workers(logs, claims), key=lambda one: (one.host, one.process)))
    rate = sum(log.per_minute for log in logs if log.is_going)
    return PartStatus(
        plan.inputs, sum(at > 0 for at in found), sum(at < 0 for at in found), rate, workers, reader.damaged
    )


class _Log:
    """The log of one process as far as the status needs it."""

    def __init__(self, now: float) -> None:
        self._now, self.host, self.process, self.part, self.started = now, "", 0, "", now
        self.done = self.recent = self.claims = 0
        self.last = 0.0
        self._is_gone = False

    def take_in_header(self, header: dict[str, Any]) -> None:
        """Take note of whose log it is."""
        self.host, self.process = str(header.get("host", "")), int(header.get("process", 0))
        self.part, self.started = str(header.get("part", "")), float(header.get("started", self._now))
        is_of_here = header.get("system") == system_name()
        self._is_gone = is_of_here and not is_running(self.process, float(header.get("process_started", 0.0)))

    def take_in(self, at: float, has_failed: bool) -> None:
        """Take note of a line on an image."""
        self.last = max(self.last, at)
        if not has_failed:
            self.done += 1
            self.recent += at > self._now - WINDOW_SECONDS

    @property
    def is_going(self) -> bool:
        """Whether its process is at work, as far as that can be told from here."""
        return not self._is_gone and (self.claims > 0 or self.silent_seconds < _PAUSE_SECONDS)

    @property
    def per_minute(self) -> float:
        """The rate since the process began, or over the last minutes; until its last line if it is not at work."""
        until = self._now if self.is_going else self.last
        seconds = until - max(self.started, self._now - WINDOW_SECONDS)
        return 60 * self.recent / max(seconds, 1.0)

    @property
    def silent_seconds(self) -> float:
        """How long ago its last line was written."""
        return max(0.0, self._now - (self.last or self.started))


def _workers(logs: list[_Log], claims: "Counter[tuple[str, int]]") -> Iterator[Worker]:
    """Yield the processes that are at work, also those that have logged nothing yet, or wrote something lately."""
    left = dict(claims)
    for log in sorted(logs, key=lambda one: one.started, reverse=True):
        log.claims = left.pop((log.host, log.process), 0)  # the youngest, as systems give numbers of processes again
        if log.claims or log.silent_seconds < WINDOW_SECONDS:
            yield Worker(log.host, log.process, log.part, log.done, log.per_minute, log.claims, log.silent_seconds)
    for (host, process), held in left.items():
        yield Worker(host, process, "", 0, 0.0, held, 0.0)
