"""What several commands share: options, devices, progress bars, reading a data set."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from promise_seg.errors import ManifestError, SettingsError
from promise_seg.progress import Progress

if TYPE_CHECKING:
    import torch

    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.dataset.manifest import Row
    from promise_seg.images.reading import Reading
    from promise_seg.sam.backbone import Backbone
    from promise_seg.vocabulary import Protocol

_WIDE = 200
BARE = "bare"
"""As a model: SAM alone, with nothing trained around it."""
console = Console(stderr=True, highlight=False, soft_wrap=True)

SamOption = Annotated[
    str,
    typer.Option(
        "--sam",
        help="nano, a name of promise sam list, an official .pth file, or a folder or hub name of transformers.",
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option("--image-size", min=16, help="Use SAM at another input size than it was trained at, in pixels."),
]
ProtocolOption = Annotated[
    str, typer.Option("--protocol", help="own, or reference: the published procedure, to repeat its numbers.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the feature store; default $PROMISE_SEG_STORE or the user's cache."),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        help="How values become grey: own (the file's), percentile, LEVEL,WIDTH, or brain, lung ...; three joined by + "
        "make the three channels.",
    ),
]
AxisOption = Annotated[
    str | None, typer.Option("--axis", help="What volumes are cut across: auto, axial, coronal or sagittal.")
]
CropOption = Annotated[
    bool | None, typer.Option("--crop-border/--no-crop-border", help="Crop the black border around the image.")
]
ClassOption = Annotated[
    str | None,
    typer.Option("--class", help="Masks are label maps: the class that is wanted; 1,2,5 or all: each."),
]
BareSizeOption = Annotated[
    int | None, typer.Option("--image-size", min=16, help="Input size of a bare SAM, in pixels.")
]
InstancesOption = Annotated[
    bool, typer.Option("--instances", help="Masks are instance maps: each value is one object.")
]
ThresholdOption = Annotated[
    int | None,
    typer.Option("--mask-threshold", min=0, max=65534, help="Take grey mask values above this as foreground."),
]


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


def rows_of_split(data: Path, split: str) -> "list[Row]":
    """The rows of a manifest that a user means by ``--split``; ``all`` for all.

    Raises:
        SettingsError: if there is no such split.
        ManifestError: if the manifest cannot be read, or has no such rows.
    """
    from promise_seg.dataset.manifest import of_split, read_manifest
    from promise_seg.vocabulary import Split

    if split not in (*Split, "all"):
        raise SettingsError(f"--split {split}: expected {', '.join(Split)} or all")
    rows = read_manifest(data)
    chosen = rows if split == "all" else of_split(rows, Split(split))
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


def read_protocol(name: str) -> "Protocol":
    """The protocol a user names.

    Raises:
        SettingsError: if there is none of that name.
    """
    from promise_seg.vocabulary import Protocol

    if name not in tuple(Protocol):
        raise SettingsError(f"--protocol {name}: expected {' or '.join(Protocol)}")
    return Protocol(name)


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
