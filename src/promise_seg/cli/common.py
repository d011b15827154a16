"""What several commands share: devices, progress bars, tables, reading a data set."""

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
"""As a model: SAM alone, with nothing trained around it."""
console = Console(stderr=True, highlight=False, soft_wrap=True)


def pick_device(name: str) -> "torch.device":
    """The torch device a user means.

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
        raise SettingsError(f"--device {name}: not available here. Choose auto or {usable}.")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"--device {name}: {error}") from error


@contextmanager
def stages_bar() -> Iterator[Progress]:
    """A bar for each stage that it is told of, on standard error."""
    with progress_bars() as bars:
        yield bar_of_stages(bars)


def bar_of_stages(bars: Bars, indent: str = "") -> Progress:
    """The progress that shows each stage in a bar of its own among some bars."""
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(indent + stage, total=total, note="")
        bars.update(tasks[stage], completed=done, total=total, note=note)

    return report


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Bars with counts and time left, on standard error."""
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
    """Check a data set with a progress bar; warn of divided groups.

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
    """The rows of a manifest that a user means by ``--split``; ``all`` for all.

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
    """Refuse what a model cannot be scored with.

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
    """Say once how this protocol differs from our own."""
    if deviations:
        console.print("protocol reference differs from our own:")
    for line in deviations:
        console.print(f"  - {line}")


def print_table(head: "Sequence[str]", rows: "Sequence[Sequence[str]]", title: str | None = None) -> None:
    """A table on standard output; wide where no terminal says how wide it is, so that nothing is broken over lines."""
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
    """What a user should know of how a SAM was loaded."""
    for note in sam.notes:
        console.print(f"{sam.name}: {note}")


def quiet_libraries() -> None:
    """Keep the libraries' own chatter out of the user's terminal."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
