"""Helpers that several commands share: devices, progress bars, tables, reading a data set."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from promise_seg.errors import ManifestError, SettingsError
from promise_seg.progress import Progress
from promise_seg.vocabulary import Split, SplitChoice

if TYPE_CHECKING:
    import torch

    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.dataset.manifest import Row
    from promise_seg.images.reading import Reading
    from promise_seg.sam.backbone import Backbone

_WIDE = 200
BARE = "bare"
"""The name of a model that is SAM alone, with nothing trained around it."""
console = Console(stderr=True, highlight=False, soft_wrap=True)


def pick_device(name: str) -> "torch.device":
    """Return the torch device that a user names.

    Raises:
        SettingsError: if this machine has no such device.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    kind = name.split(":")[0]
    if not available.get(kind):
        usable = ", ".join(k for k, here in available.items() if here)
        raise SettingsError(f"--device {name}: not available here. Choose auto or {usable}")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"--device {name}: {error}") from error


@contextmanager
def stages_bar() -> Iterator[Progress]:
    """Show a bar for each stage on standard error."""
    with progress_bars() as bars:
        yield bar_of_stages(bars)


def bar_of_stages(bars: Bars, indent: str = "") -> Progress:
    """Return a progress function that shows each stage in its own bar."""
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(indent + stage, total=total, note="")
        bars.update(tasks[stage], completed=done, total=total, note=note)

    return report


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Show bars with counts and remaining time on standard error."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=console) as bars:
        yield bars


def read_and_check(rows: "Sequence[Row]", reading: "Reading") -> "list[CheckedRow]":
    """Check a data set with a progress bar; warn about divided groups.

    Raises:
        ManifestError: with all problems at once.
    """
    from promise_seg.dataset.checks import check_rows, divided_warning

    with stages_bar() as progress:
        checked = check_rows(rows, reading, progress)
    if words := divided_warning(rows):
        console.print(f"warning: {words}", markup=False)
    return checked


def rows_of_split(data: Path, split: SplitChoice) -> "list[Row]":
    """Return the rows of a manifest selected by ``--split``; ``all`` selects all rows.

    Raises:
        ManifestError: if the manifest cannot be read, or has no such rows.
    """
    from promise_seg.dataset.manifest import of_split, read_manifest

    rows = read_manifest(data)
    chosen = rows if split == SplitChoice.ALL else of_split(rows, Split(split))
    if not chosen:
        raise ManifestError(f"{data}: no {split} rows; choose another --split")
    return chosen


def check_scoring_options(run: str, label: str | None, image_size: int | None) -> None:
    """Raise an error if a model cannot be scored with these options.

    Raises:
        SettingsError: for several classes at once, or another input size of a trained model.
    """
    from promise_seg.images.reading import parse_classes

    if label is not None and len(parse_classes(label) or ()) != 1:
        raise SettingsError(
            f"--class {label}: name one class; the output of promise train --class all needs no --class"
        )
    if image_size is not None and run != BARE:
        raise SettingsError("--image-size: a trained model is used at the size it was trained at; it is for bare only")


def print_deviations(deviations: "Sequence[str]") -> None:
    """Print once how this protocol differs from our own."""
    if deviations:
        console.print("protocol reference differs from our own:")
    for line in deviations:
        console.print(f"  - {line}")


def print_table(head: "Sequence[str]", rows: "Sequence[Sequence[str]]", title: str | None = None) -> None:
    """Print a table on standard output; it is wide without a terminal, to avoid broken lines."""
    from rich.table import Table

    table = Table(title=title)
    for name in head:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    out = Console()
    if not out.is_terminal:
        out.width = _WIDE
    out.print(table)


def print_notes(sam: "Backbone") -> None:
    """Print what a user should know about how a SAM was loaded."""
    for note in sam.notes:
        console.print(f"{sam.name}: {note}")


def quiet_libraries() -> None:
    """Silence messages of libraries on the terminal."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
