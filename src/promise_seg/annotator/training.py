"""Training in the background: one process at a time, and what is known of it."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.rounds import Round
from promise_seg.errors import PromiseError, first_line

COMMAND = (sys.executable, "-m", "promise_seg.annotator.learner")
_PATIENCE_SECONDS = 40.0
"""How long a process may take to end by itself."""
_STOPPED = 130
"""The exit code of a process that ended because it was told to."""


class TrainingState(StrEnum):
    """The states of training."""

    IDLE = "idle"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Progressing:
    """How far the process is.

    Args:
        stage, done, total, note: as its progress says.
        since: when this stage began, by a clock that only grows, and ``first`` how much was done then.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    note: str = ""
    since: float = 0.0
    first: int = 0

    def then(self, line: dict[str, Any], now: float) -> "Progressing":
        """Return how far it is after another line."""
        stage, done, total = str(line["stage"]), int(line["done"]), int(line["total"])
        if stage != self.stage or done < self.done:
            return Progressing(stage, done, total, str(line["note"]), now, done)
        return replace(self, done=done, total=total, note=str(line["note"]))

    def seconds_left(self, now: float) -> float | None:
        """Return how long this stage will take at its pace; ``None`` if that is not known yet."""
        steps = self.done - self.first
        return None if steps < 1 else (now - self.since) / steps * (self.total - self.done)

    def as_json(self, now: float) -> dict[str, Any]:
        """Return what a client is told."""
        left = self.seconds_left(now)
        return {
            "stage": self.stage, "done": self.done, "total": self.total, "note": self.note,
            "seconds_left": None if left is None else round(left, 1),
        }  # fmt: skip


@dataclass
class _Work:
    """A process and the round it works at."""

    round: Round
    process: subprocess.Popen[bytes]
    far: Progressing = field(default_factory=Progressing)
    reason: str = ""
    is_cancelled: bool = False


class Training:
    """The process that learns.

    Args:
        finished: called in another thread with a round that ended by itself, before it counts as ended.
        command: the process, without the folder of its round.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        finished: Callable[[Round], object],
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._finished, self._command, self._clock = finished, tuple(command), clock
        self._lock = threading.Lock()
        self._work: _Work | None = None
        self._thread: threading.Thread | None = None
        self._begins, self._is_cancelled = False, False
        self._state, self._reason = TrainingState.IDLE, ""

    def note_interrupted(self) -> None:
        """Note that the last round did not end, as after a crash."""
        self._state = TrainingState.INTERRUPTED

    @property
    def state(self) -> TrainingState:
        """Its state now."""
        return self._state

    def start(self, begin: Callable[[], Round]) -> None:
        """Begin a round, or go on with one.

        Args:
            begin: returns it; it is called when nothing else is running, and may take its time.

        Raises:
            Refusal: if it is running already, or cannot begin.
        """
        with self._lock:
            if self._work is not None or self._begins:
                raise Refusal(409, "busy", "Training is under way. Wait for its end, or stop it")
            self._begins, self._is_cancelled = True, False
        try:
            self._go(begin())
        except PromiseError as error:
            raise Refusal(422, "unreadable", f"Training cannot begin: {error}") from error
        finally:
            with self._lock:
                self._begins = False

    def _go(self, work: Round) -> None:
        with self._lock:
            if self._is_cancelled:  # while it was prepared
                self._state, self._reason = TrainingState.INTERRUPTED, ""
                return
            try:
                process = self._opened(work)
            except OSError as error:
                raise Refusal(
                    507, "not-stored", f"Training cannot begin: {first_line(error)}. Free space and try again"
                ) from error
            self._work, self._state, self._reason = _Work(work, process), TrainingState.RUNNING, ""
            self._thread = threading.Thread(target=self._follow, args=(self._work,), name="training", daemon=True)
            self._thread.start()

    def _opened(self, work: Round) -> subprocess.Popen[bytes]:
        """Start the process in a group of its own: Ctrl+C in the terminal is for the server, which then ends it."""
        with work.log.open("ab") as log:
            return subprocess.Popen(
                [*self._command, str(work.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True, creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )  # fmt: skip

    def _follow(self, work: _Work) -> None:
        stdout = work.process.stdout
        assert stdout is not None
        with stdout:
            for line in stdout:
                self._take(work, line)
        code = work.process.wait()
        state, reason = TrainingState.IDLE, ""
        if work.is_cancelled or code in (_STOPPED, -signal.SIGINT):
            state = TrainingState.INTERRUPTED
        elif code != 0:
            state = TrainingState.FAILED
            reason = work.reason or f"its process ended with {code}; {work.round.log} says more"
        else:
            try:
                self._finished(work.round)
            except Exception as error:
                state, reason = TrainingState.FAILED, f"the new model cannot be used: {error}"
        with self._lock:
            self._work, self._state, self._reason = None, state, reason

    def _take(self, work: _Work, line: bytes) -> None:
        try:
            said = json.loads(line)
            if "error" in said:
                work.reason = str(said["error"])
            elif "stage" in said:
                work.far = work.far.then(said, self._clock())
        except (ValueError, KeyError, TypeError):  # cut off, as of a process that was killed
            return

    def cancel(self) -> None:
        """Have it end soon; what was trained is kept."""
        with self._lock:
            self._is_cancelled = True
            if self._work is not None and not self._work.is_cancelled:
                self._work.is_cancelled = True
                if self._work.process.stdin is not None:
                    self._work.process.stdin.close()

    def close(self) -> None:
        """End it, and wait for that."""
        self.cancel()
        with self._lock:
            work, thread = self._work, self._thread
        if work is not None:
            try:
                work.process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                work.process.kill()
        if thread is not None:
            thread.join()

    def facts(self) -> dict[str, Any]:
        """Return what a client is told."""
        with self._lock:
            work, reason = self._work, self._reason
            state = TrainingState.RUNNING if self._begins else self._state
        progress = None if work is None else work.far.as_json(self._clock())
        return {"state": str(state), "reason": reason, "progress": progress}
