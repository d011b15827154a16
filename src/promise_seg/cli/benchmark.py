"""The command ``promise benchmark``."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import bar_of_stages, print_line, print_table, progress_bars, quiet_libraries
from promise_seg.cli.options import OUTPUT, DeviceOption, StoreOption, option, output_option
from promise_seg.errors import PromiseError
from promise_seg.progress import Progress
from promise_seg.quantities import count_in_words

if TYPE_CHECKING:
    from rich.progress import TaskID

    from promise_seg.benchmarking.benchmark import BenchmarkOutcome


def benchmark(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or paper: the published table.")],
    output: Annotated[Path, output_option("Folder of all runs, the tables and the report.")],
    plan: Annotated[bool, option("--plan", about="Only read the manifests and show the runs.", panel=OUTPUT)] = False,
    device: DeviceOption = "auto",
    store: StoreOption = None,
) -> None:
    """Train and score many models on many data sets, and write tables and a report. The same command resumes an
    interrupted benchmark."""
    quiet_libraries()
    from promise_seg.benchmarking import benchmark as running

    with _bars() as progress:
        found = running.benchmark(
            spec, output, plan=plan, device=device, store=store, progress=progress, note=print_line
        )
    if plan:
        _print_plan(found)
        return
    print_line(f"written: {', '.join(map(str, found.files))}")
    if found.failed:
        raise PromiseError(
            f"{len(found.failed)} of {len(found.cells)} runs failed and are missing in the tables: "
            f"{', '.join(found.failed)}. The reasons are listed above and in {output / 'table.md'}. Fix them and "
            "run the same command again: finished runs are kept"
        )


def _print_plan(found: "BenchmarkOutcome") -> None:
    """Print the runs of a benchmark, and the commands that estimate the cost of encoding."""
    from promise_seg.images.reading import ReadingOptions

    lines = [(c.data.name, c.sam.name, c.model.name, c.model.variant, str(c.seed)) for c in found.cells]
    title = f"{found.spec.title}: {count_in_words(len(lines), 'run')}"
    print_table(("trained on", "SAM", "model", "variant", "seed"), lines, title)
    encoded = {(c.data.name, c.sam.name): c for c in found.cells if c.model.is_promise}
    if encoded:
        print_line("not estimated here: time and disk space. Commands that measure those of encoding on three images:")
    for cell in encoded.values():
        size = [] if cell.sam.image_size is None else ["--image-size", str(cell.sam.image_size)]
        reading = ReadingOptions(**{name: getattr(cell.data, name) for name in ReadingOptions.model_fields})
        words = ["promise", "features", "plan", str(cell.data.manifest), "--sam", cell.sam.source, *size]
        print_line(f"  {shlex.join([*words, *reading.arguments])}")


@contextmanager
def _bars() -> Iterator[Progress]:
    """Show a progress bar for all runs, and below it one for each stage of the current run."""
    with progress_bars() as bars:
        cells, of_cell = bar_of_stages(bars), bar_of_stages(bars, "  ")
        running: str | None = None
        kept: set[TaskID] = set()

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            nonlocal of_cell, running, kept
            if stage != "cells":
                of_cell(stage, done, total, note)
                return
            if note != running:
                for task in set(bars.task_ids) - kept:
                    bars.remove_task(task)
                of_cell, running = bar_of_stages(bars, "  "), note
            cells("runs", done, total, note)
            kept = kept or set(bars.task_ids)

        yield report
