"""Helpers that several commands share: progress bars, tables, reading a data set."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from promise_seg.cli.plain_progress import PlainStages
from promise_seg.cli.terminal import shows_unicode
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.monitoring.hooks import progressed
from promise_seg.progress import Progress
from promise_seg.vocabulary import Split, SplitChoice

if TYPE_CHECKING:
    import typer
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from promise_seg.cli.groups import Values
    from promise_seg.dataset.dataset import Dataset
    from promise_seg.dataset.manifest import Row
    from promise_seg.images.reading import Reading, ReadingOptions
    from promise_seg.storage.download import Advance
    from promise_seg.workflows.by_class import ByClass
    from promise_seg.workflows.models import OpenModels

Found = TypeVar("Found")

_WIDE = 200
_RATE_SECONDS = 600.0
"""The period over which the rate of progress is estimated; steps that take longer have no rate."""
_PLAIN: dict[str, Any] = {"markup": False, "emoji": False}
"""Options that print brackets and colons in the names of files, groups and models literally."""
console = Console(stderr=True, highlight=False, soft_wrap=True, **_PLAIN)


@contextmanager
def stages_bar() -> Iterator[Progress]:
    """Show a bar for each stage on standard error; if it is not a terminal, plain lines with the progress."""
    with progress_bars() as bars:
        yield bar_of_stages(bars)


def bar_of_stages(bars: "Bars", indent: str = "") -> Progress:
    """Return a progress function that shows each stage in its own bar, or as plain lines if there is no terminal."""
    tasks: dict[str, TaskID] = {}
    lines = PlainStages(print_line, indent)

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        progressed(stage, done, total)
        if not shows_bars():
            lines(stage, done, total, note)
            return
        if stage not in tasks:
            bars.start()
            tasks[stage] = bars.add_task(indent + stage, total=total, note="")
        bars.update(tasks[stage], completed=done, total=total, note=note)

    return report


def shows_bars() -> bool:
    """Whether standard error is a terminal on which bars can be redrawn."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def progress_bars() -> "Iterator[Bars]":
    """Show bars with counts and remaining time on standard error; nothing is shown before the first stage begins."""
    from rich.progress import Progress as Bars

    from promise_seg.cli.bar_columns import bar_columns

    columns = bar_columns(console.width, "dots" if shows_unicode() else "line")
    bars = Bars(*columns, console=console, speed_estimate_period=_RATE_SECONDS)
    try:
        yield bars
    finally:
        if bars.live.is_started:
            bars.stop()


@contextmanager
def counting_bar(what: str, total: int | None, unit: str) -> "Iterator[Advance]":
    """Show a progress bar of bytes or images."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )  # fmt: skip

    units = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), *units, TimeRemainingColumn(), console=console
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


def read_data(path: Path, reading: "ReadingOptions", like: "Reading | None" = None, **more: Any) -> "Dataset":
    """Read and check a data set with a progress bar; print its warnings.

    Args:
        path: the manifest.
        reading: the options for reading files that the user gave.
        like: the reading options for everything that the user did not give.
        more: other arguments of :meth:`Dataset.from_csv`.

    Raises:
        SettingsError: if an option is invalid; the message names it.
        ManifestError: if the manifest or its files have problems; the message lists all of them.
    """
    from promise_seg.dataset.dataset import Dataset

    given = dict(reading)
    with stages_bar() as progress:
        data = Dataset.from_csv(path, classes=given.pop("label"), **given, like=like, progress=progress, **more)
    print_lines(data.warnings, "warning")
    print_lines(data.notes, "note")
    return data


def rows_of_split(data: Path, split: SplitChoice) -> "list[Row]":
    """Return the rows of a manifest selected by ``--split``; ``all`` selects all rows.

    Raises:
        ManifestError: if the manifest cannot be read, or has no such rows.
    """
    from promise_seg.dataset.manifest import read_manifest

    return _of_split(read_manifest(data), data, split)


def _of_split(rows: "list[Row]", data: Path, split: SplitChoice) -> "list[Row]":
    from promise_seg.dataset.manifest import of_split

    chosen = rows if split == SplitChoice.ALL else of_split(rows, Split(split))
    if not chosen:
        raise ManifestError(f"{data}: no {split} rows; choose another --split")
    return chosen


def open_to_score(
    model: str,
    data: Path,
    reading: "ReadingOptions",
    split: SplitChoice,
    opening: "Values",
    *,
    output: Path,
    store: str | None,
    prompts: Sequence[str] = (),
    by: Sequence[str] = (),
    **more: Any,
) -> "tuple[OpenModels, Dataset]":
    """Open models, and read the rows to score them on, after checking whatever needs neither weights nor images.

    Rows of the manifest that cannot be used are reported together with files that cannot be read.

    Args:
        model: the name of the models.
        data: the manifest.
        reading: the options for reading files that the user gave.
        split: the split to score.
        opening: arguments of :func:`~promise_seg.workflows.models.open_models`.
        output: folder for the results.
        store: the feature store, or ``None`` for the user's.
        prompts: the sources of the prompts.
        by: the columns to group means by.
        more: further arguments of the same function.

    Raises:
        SettingsError: if an option is invalid, or ``--class`` does not name exactly one class.
        ManifestError: if the split has no rows, or files of its rows cannot be read.
        CheckpointError: if a model cannot be loaded.
        PromiseError: if the folder or the store cannot be written.
    """
    from promise_seg.images.reading import parse_classes

    label = reading.label
    if label is not None and len(parse_classes(str(label)) or ()) != 1:
        raise SettingsError(
            f"--class {label}: name one class; the output of promise train --class all needs no --class"
        )
    quiet_libraries()
    from promise_seg.workflows.evaluation import as_store
    from promise_seg.workflows.first_checks import check_before_scoring
    from promise_seg.workflows.models import open_models

    as_store(store)
    check_before_scoring(
        model, data, split=split, output=output, device=opening["device"],
        encoder_precision=opening.get("encoder_precision"), prompts=prompts, by=by, reading=reading,
    )  # fmt: skip
    opened = open_models(model, **opening, **more)
    print_notes(opened)
    return opened, read_data(data, reading, opened.reading, split=split)


def print_unfinished(model: str | Path) -> None:
    """Print a note on standard error if the training of a model was interrupted, with the way to resume it."""
    from promise_seg.reporting.unfinished import unfinished_note

    note = unfinished_note(model)
    if note is not None:
        print_lines([note])


def open_trained(model: Path, data: Path | None, kept: str, options: "Values") -> "OpenModels":
    """Open trained models, to save something in their folders, after all checks that need neither weights nor images.

    Args:
        model: the name of the models.
        data: the manifest; ``None`` if no rows are needed.
        kept: a description of what is to be saved, for messages.
        options: values of :data:`~promise_seg.cli.groups.VALIDATION`.

    Raises:
        SettingsError: if a model has no checkpoint folder to save to.
        ManifestError: if the manifest as a whole cannot be used.
        CheckpointError: if a model cannot be loaded.
        PromiseError: if a folder of a model cannot be written, or there cannot be a store in the given place.
    """
    quiet_libraries()
    from promise_seg.workflows.evaluation import as_store
    from promise_seg.workflows.first_checks import check_before_learning
    from promise_seg.workflows.models import open_models

    as_store(options["store"])
    ref = check_before_learning(
        model, data, kept, val_share=options["val_share"], seed=options["seed"], device=options["device"]
    )
    opened = open_models(ref, sam=options["sam"], device=options["device"])
    print_notes(opened)
    return opened


def given_of(context: "typer.Context", names: Iterable[str]) -> "Values":
    """Return the values of the named options that were given, on the command line or by environment variables."""
    return {
        name: context.params[name]
        for name in names
        if (source := context.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    }


def each_of(found: "Found | ByClass[Found]") -> "list[Found]":
    """Return the result of one model, or the results of a set with a model for each class, as a list."""
    from promise_seg.workflows.by_class import ByClass

    return list(found.values()) if isinstance(found, ByClass) else [found]


def print_line(words: str) -> None:
    """Print a line on standard error."""
    console.print(words)


def print_lines(words: Iterable[str], kind: str = "note") -> None:
    """Print lines on standard error, each preceded by its kind, such as ``note``."""
    for one in words:
        print_line(f"{kind}: {one}")


def print_deviations(deviations: "Sequence[str]") -> None:
    """Print how the reference protocol differs from our own, a line for each deviation."""
    if deviations:
        console.print("protocol reference differs from our own:")
    for line in deviations:
        console.print(f"  - {line}")


def print_table(head: "Sequence[str]", rows: "Sequence[Sequence[str]]", title: str | None = None) -> None:
    """Print a table on standard output.

    Without a terminal it has the width that the environment variable COLUMNS gives, or else 200 characters, to avoid
    wrapped lines.
    """
    from rich.table import Table

    table = Table(title=title)
    for name in head:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    out = Console(**_PLAIN)
    if not out.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        out.width = _WIDE
    out.print(table)


def print_notes(opened: "OpenModels") -> None:
    """Print the notes on how the SAM of models was loaded."""
    from promise_seg.sam.loading import notes_with_trained_model

    sam = opened.sam
    for note in sam.notes if opened.ref.parts[0].is_bare else notes_with_trained_model(sam):
        console.print(f"{sam.name}: {note}")


def quiet_libraries() -> None:
    """Silence messages of libraries on the terminal."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
