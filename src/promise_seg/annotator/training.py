"""Training in the background: one process at a time, with its state and progress."""

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
"""The longest wait for the process to end, in seconds, before it is killed."""
_STOPPED = 130
"""The exit code of a process that was interrupted."""


class TrainingState(StrEnum):
    """The states of training."""

    IDLE = "idle"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Progressing:
    """The progress of the training process.

    Args:
        stage, done, total, note: the values of its last progress line.
        since, first: the monotonic time at which this stage began, in seconds, and the value of ``done`` then.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    note: str = ""
    since: float = 0.0
    first: int = 0

    def then(self, line: dict[str, Any], now: float) -> "Progressing":
        """Return the progress after another progress line; ``now`` is a monotonic time in seconds."""
        stage, done, total = str(line["stage"]), int(line["done"]), int(line["total"])
        if stage != self.stage or done < self.done:
            return Progressing(stage, done, total, str(line["note"]), now, done)
        return replace(self, done=done, total=total, note=str(line["note"]))

    def seconds_left(self, now: float) -> float | None:
        """Return the remaining time of this stage in seconds, at its present speed; ``None`` if that is unknown."""
        steps = self.done - self.first
        return None if steps < 1 else (now - self.since) / steps * (self.total - self.done)

    def as_json(self, now: float) -> dict[str, Any]:
        """Return the JSON for clients, see docs/annotator-api.md."""
        left = self.seconds_left(now)
        return {
            "stage": self.stage, "done": self.done, "total": self.total, "note": self.note,
            "seconds_left": None if left is None else round(left, 1),
        }  # fmt: skip


@dataclass
class _Work:
    """A training process, its round, and its progress."""

    round: Round
    process: subprocess.Popen[bytes]
    far: Progressing = field(default_factory=Progressing)
    reason: str = ""
    is_cancelled: bool = False


class Training:
    """A runner of training processes, one at a time.

    Args:
        finished: called in another thread with a round that ended without an error, before the state becomes idle.
        command: the command line of the process, without its last argument, the folder of the round.
        clock: returns a monotonic time, in seconds.
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
        """Record that the last round was interrupted, for example by a crash."""
        self._state = TrainingState.INTERRUPTED

    @property
    def state(self) -> TrainingState:
        """The present state; a round that is being prepared does not count as running yet."""
        return self._state

    def start(self, begin: Callable[[], Round]) -> None:
        """Begin a round, or resume one.

        Args:
            begin: returns the round; called only when no other round is running, and may take long.

        Raises:
            Refusal: if a round is running already, or the round cannot begin.
        """
        with self._lock:
            if self._work is not None or self._begins:
                raise Refusal(409, "busy", "A training is already running. Wait until it has ended, or stop it")
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
            if self._is_cancelled:  # during the preparation
                self._state, self._reason = TrainingState.INTERRUPTED, ""
                return
            try:
                process = self._opened(work)
            except OSError as error:
                raise Refusal(
                    507,
                    "not-stored",
                    f"The training process cannot be started: {first_line(error)}. Free space and try again",
                ) from error
            self._work, self._state, self._reason = _Work(work, process), TrainingState.RUNNING, ""
            self._thread = threading.Thread(target=self._follow, args=(self._work,), name="training", daemon=True)
            self._thread.start()

    def _opened(self, work: Round) -> subprocess.Popen[bytes]:
        """Start the process in its own group, so that Ctrl+C reaches only the server, which then ends the process."""
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
            reason = (
                work.reason
                or f"its process ended with the exit code {code}. The reason is at the end of {work.round.log}"
            )
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
        except (ValueError, KeyError, TypeError):  # an incomplete line, for example of a killed process
            return

    def cancel(self) -> None:
        """Ask the process to end. Finished epochs are kept."""
        with self._lock:
            self._is_cancelled = True
            if self._work is not None and not self._work.is_cancelled:
                self._work.is_cancelled = True
                if self._work.process.stdin is not None:
                    self._work.process.stdin.close()

    def close(self) -> None:
        """End the process, and wait until it has ended."""
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
        """Return the state and progress as JSON for clients, see docs/annotator-api.md."""
        with self._lock:
            work, reason = self._work, self._reason
            state = TrainingState.RUNNING if self._begins else self._state
        progress = None if work is None else work.far.as_json(self._clock())
        return {"state": str(state), "reason": reason, "progress": progress}
