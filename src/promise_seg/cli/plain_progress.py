"""Progress as plain lines, for standard error in a file or a pipe, where bars cannot be redrawn."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from promise_seg.quantities import seconds_in_words

FIRST_LINE_SECONDS = 2.0
LINE_SECONDS = 30.0


@dataclass
class _StageLines:
    """The output for one stage: its first report, and the count and note of its last line."""

    began: float
    first: int
    done: int = 0
    has_line: bool = False
    has_ended: bool = False
    last_note: str = ""


@dataclass
class PlainStages:
    """Print lines with the progress of stages; see :class:`~promise_seg.progress.Progress`.

    A stage has a line at its end, and every 30 s until then. Long stages also have one soon after their beginning.

    Args:
        show: prints a line.
        indent: the text before each line.
        clock: returns the time in seconds.
    """

    show: Callable[[str], object]
    indent: str = ""
    clock: Callable[[], float] = time.monotonic
    _stages: dict[str, _StageLines] = field(default_factory=dict, init=False)
    _last_line: float = field(init=False)

    def __post_init__(self) -> None:
        self._last_line = self.clock()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report progress; print a line if one is due."""
        now = self.clock()
        state = self._stages.setdefault(stage, _StageLines(now, done))
        if done < state.done:  # the stage started again
            state.began, state.first = now, done
        repeats = done == state.done > 1
        state.done = done
        if not self._is_due(state, now, note, ends=done >= total, repeats=repeats):
            return
        self._last_line, state.has_line, state.last_note = now, True, note
        state.has_ended = state.has_ended or done >= total
        self.show(f"{self.indent}{stage}: {done} of {total}{_remark(stage, note)}{_time_left(state, now, total)}")

    def _is_due(self, state: _StageLines, now: float, note: str, *, ends: bool, repeats: bool) -> bool:
        since = now - self._last_line
        if since >= LINE_SECONDS:
            return True
        if ends:
            return not state.has_ended or (repeats and note != state.last_note)
        return not state.has_line and since >= FIRST_LINE_SECONDS


def _remark(stage: str, note: str) -> str:
    return f", {note}" if note and note != stage else ""


def _time_left(state: _StageLines, now: float, total: int) -> str:
    """Return the estimated time until the end of a stage, from the steps after its first report."""
    steps, left = state.done - state.first, total - state.done
    if steps <= 0 or left <= 0 or now <= state.began:
        return ""
    return f", about {seconds_in_words((now - state.began) / steps * left)} left"
