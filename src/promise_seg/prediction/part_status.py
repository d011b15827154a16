"""Report the progress of predictions in parts over all processes, read from their logs and claims."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.images.own_folders import PREDICTION_PARTS
from promise_seg.prediction.part_logs import ALL_LOGS, LogReader
from promise_seg.prediction.part_plan import PartPlan
from promise_seg.processes import is_running, system_name
from promise_seg.progress import Progress, silent
from promise_seg.storage.claims import holders_of_claims

WINDOW_SECONDS = 600.0
"""Time window of the rate in seconds; shorter for processes that started later."""
_PAUSE_SECONDS = 60.0
"""Seconds for which a process without claims may log nothing and still count towards the total rate."""
_SHOWN_EVERY = 1000


@dataclass(frozen=True)
class Worker:
    """A process that predicts images, or has done so recently.

    Args:
        host: name of its computer.
        process: its process id.
        part: its part, as ``K/N``.
        done: number of images that it predicted.
        per_minute: images per minute over the last 10 minutes; for a process that has ended, until its last image.
        claims: number of images that it has claimed at present.
        silent_seconds: seconds since it last logged an image, or since its start if it has logged none.
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
        """Whether the process has claimed images at present."""
        return self.claims > 0


@dataclass(frozen=True)
class PartStatus:
    """The progress of predictions in parts.

    Args:
        images: number of images in the list of all parts.
        done: number of images predicted according to the logs; only merging checks that their files exist.
        failed: number of images whose last log line is a problem.
        per_minute: images per minute of all running processes, over the last 10 minutes.
        workers: processes that are running or have logged an image in the last 10 minutes, by host and process id.
        damaged: number of log lines that could not be read.
    """

    images: int
    done: int
    failed: int
    per_minute: float
    workers: tuple[Worker, ...]
    damaged: int

    @property
    def missing(self) -> int:
        """The number of images that no process has tried to predict yet."""
        return self.images - self.done - self.failed

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the missing images are predicted at this rate; ``None`` if the rate is 0."""
        if not self.missing:
            return 0.0
        return 60 * self.missing / self.per_minute if self.per_minute else None


def status_of_parts(folder: str | Path, progress: Progress = silent) -> PartStatus:
    """Read the progress of predictions in parts, also while their processes are running.

    Two numbers per image are kept in memory.

    Args:
        folder: folder of predictions.
        progress: called with the number of log lines read so far.

    Raises:
        PromiseError: if the folder holds no parts, or a log cannot be read.
    """
    folder = Path(folder)
    plan, now = PartPlan.read(folder), time.time()
    claims = Counter((holder.host, holder.pid) for holder in holders_of_claims(folder / PREDICTION_PARTS / "claims"))
    reader, latest = LogReader(folder), dict[int, float]()  # time by hash of the stem; negative for a problem
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
    """Summary of the log of one process."""

    def __init__(self, now: float) -> None:
        self._now, self.host, self.process, self.part, self.started = now, "", 0, "", now
        self.done = self.recent = self.claims = 0
        self.last = 0.0
        self._is_gone = False

    def take_in_header(self, header: dict[str, Any]) -> None:
        """Record the process that wrote the log."""
        self.host, self.process = str(header.get("host", "")), int(header.get("process", 0))
        self.part, self.started = str(header.get("part", "")), float(header.get("started", self._now))
        is_of_here = header.get("system") == system_name()
        self._is_gone = is_of_here and not is_running(self.process, float(header.get("process_started", 0.0)))

    def take_in(self, at: float, has_failed: bool) -> None:
        """Record a line about an image."""
        self.last = max(self.last, at)
        if not has_failed:
            self.done += 1
            self.recent += at > self._now - WINDOW_SECONDS

    @property
    def is_going(self) -> bool:
        """Whether the process is running, as far as can be determined from this computer."""
        return not self._is_gone and (self.claims > 0 or self.silent_seconds < _PAUSE_SECONDS)

    @property
    def per_minute(self) -> float:
        """Images per minute since the process started, or over the last 10 minutes; until its last line if it ended."""
        until = self._now if self.is_going else self.last
        seconds = until - max(self.started, self._now - WINDOW_SECONDS)
        return 60 * self.recent / max(seconds, 1.0)

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last line, or since the start if there is none."""
        return max(0.0, self._now - (self.last or self.started))


def _workers(logs: list[_Log], claims: "Counter[tuple[str, int]]") -> Iterator[Worker]:
    """Yield the processes that hold claims, even if they have logged nothing yet, or that logged an image recently."""
    left = dict(claims)
    for log in sorted(logs, key=lambda one: one.started, reverse=True):
        log.claims = left.pop((log.host, log.process), 0)  # the latest process, as process ids are reused
        if log.claims or log.silent_seconds < WINDOW_SECONDS:
            yield Worker(log.host, log.process, log.part, log.done, log.per_minute, log.claims, log.silent_seconds)
    for (host, process), held in left.items():
        yield Worker(host, process, "", 0, 0.0, held, 0.0)
