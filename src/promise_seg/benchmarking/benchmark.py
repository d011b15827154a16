"""Run a whole benchmark: train and score every cell, and update the tables as results arrive."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from promise_seg.arguments import checks_arguments
from promise_seg.benchmarking.cells import Cell, cells_of
from promise_seg.benchmarking.data_sets import read_manifests
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.spec import BenchmarkSpec, read_spec
from promise_seg.benchmarking.writing import Writer
from promise_seg.errors import PromiseError
from promise_seg.features.store import FeatureStore
from promise_seg.progress import Progress, silent
from promise_seg.storage.files import check_writable
from promise_seg.workflows.devices import make_accelerator
from promise_seg.workflows.evaluation import as_store
from promise_seg.workflows.noting import Note, no_note

CELLS = "cells"
"""The progress stage that counts cells; all other stages are of a single cell."""


@dataclass(frozen=True)
class BenchmarkOutcome:
    """The outcome of a benchmark.

    Args:
        spec: the spec of the benchmark.
        cells: all cells, in the order in which they run.
        files: the files that were written.
        failed: maps the name of each failed cell to its error; finished parts of the cell are kept for another try.
    """

    spec: BenchmarkSpec
    cells: tuple[Cell, ...]
    files: tuple[Path, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)


@checks_arguments("spec", "output", "plan", "store", "progress", "note")
def benchmark(
    spec: str | Path,
    output: str | Path,
    *,
    plan: bool = False,
    device: str | torch.device = "auto",
    store: str | Path | FeatureStore | None = None,
    progress: Progress = silent,
    note: Note = no_note,
) -> BenchmarkOutcome:
    """Train and score many models on many data sets. Finished parts are kept; the same call resumes.

    Args:
        spec: a YAML file, or ``paper`` for the published table.
        output: the folder for all runs, the tables and the report.
        plan: whether this is a dry run, which only reads the manifests and returns the cells.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's feature store.
        progress: called for the cells, and for the stages of each cell.
        note: called with notes and warnings for the user, one line each.

    Raises:
        PromiseError: if the spec, its data or a SAM has problems. A cell that fails does not stop the other cells.
    """
    wanted = read_spec(str(spec))
    for words in wanted.notes:
        note(f"note: {words}")
    if plan:
        read_manifests(wanted)
        return BenchmarkOutcome(wanted, tuple(cells_of(wanted)))
    check_writable(Path(output))
    accelerator = make_accelerator(device, wanted.precision)
    running = Benchmark(
        wanted, Path(output), as_store(store), accelerator, progress, lambda words: note(f"note: {words}")
    )
    writer = Writer(running, str(spec))
    try:
        _run_all(running, writer, progress, note)
    except KeyboardInterrupt:
        if writer.files:
            note(f"written, as far as it is done: {', '.join(map(str, writer.files))}")
        raise
    return BenchmarkOutcome(wanted, tuple(running.cells()), tuple(writer.files), dict(running.failed))


def _run_all(running: Benchmark, writer: Writer, progress: Progress, note: Note) -> None:
    """Run every cell, and write the files again after each.

    Cells with scores from an earlier run come first, and nothing is written before all of them were read, so the tables
    of that run are not replaced by smaller ones.
    """
    cells = running.cells()
    noted: set[str] = set()
    for number, cell in enumerate(cells):
        progress(CELLS, number, len(cells), cell.name)
        if cell.sam.name not in noted:
            noted.add(cell.sam.name)
            with suppress(PromiseError):  # running the cell reports the error
                sam = running.sam(cell)
                for line in sam.notes:
                    note(f"{sam.name}: {line}")
        if not running.attempt(cell, progress):
            note(f"failed: {cell.name}: {running.failed[cell.name]}")
        progress(CELLS, number + 1, len(cells), cell.name)
        if number + 1 == len(cells) or not running.has_scores(cells[number + 1]):
            writer.write()
