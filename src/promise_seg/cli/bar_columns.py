"""The columns of progress bars. Counts, rate and remaining time are always shown in full; the note gives way first."""

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, Task, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

_NUMBERS = 50
"""The width that everything except the description takes at least."""


def bar_columns(width: int, spinner: str) -> tuple[ProgressColumn, ...]:
    """Return the columns of a stage: spinner, description, bar, count, rate, remaining time and note.

    Args:
        width: the width of the terminal, in characters.
        spinner: the name of a spinner of rich.
    """
    return (
        SpinnerColumn(spinner, table_column=_fixed()),
        DescriptionColumn(max(16, width - _NUMBERS)),
        BarColumn(max(10, min(40, (width - 60) // 2)), table_column=_fixed()),
        MofNCompleteColumn(table_column=_fixed()),
        RateColumn(table_column=_fixed()),
        TimeRemainingColumn(table_column=_fixed()),
        NoteColumn(),
    )


def _fixed() -> Column:
    """Return a table column that is not made narrower in favour of others."""
    return Column(no_wrap=True)


class DescriptionColumn(ProgressColumn):
    """The name of a stage, shortened to ``widest`` characters."""

    def __init__(self, widest: int) -> None:
        super().__init__(_fixed())
        self._widest = widest

    def render(self, task: Task) -> Text:
        """Return the name of the stage."""
        text = Text(task.description)
        text.truncate(self._widest, overflow="ellipsis")
        return text


class RateColumn(ProgressColumn):
    """The rate of a stage, per second, or per minute if it is below 1 per second."""

    def render(self, task: Task) -> Text:
        """Return the rate; empty before it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if not speed else f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min")


class NoteColumn(ProgressColumn):
    """The note of a stage on one line, as far as there is space for it; empty if it repeats the name of the stage."""

    def render(self, task: Task) -> Text:
        """Return the note."""
        note = task.fields["note"]
        return Text("" if note == task.description.strip() else note, no_wrap=True, overflow="ellipsis")
