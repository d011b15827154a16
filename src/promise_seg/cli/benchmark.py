"""``promise benchmark``"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import (
    bar_of_stages,
    console,
    print_notes,
    print_table,
    progress_bars,
    quiet_libraries,
    stages_bar,
)
from promise_seg.cli.options import OUTPUT, DeviceOption, StoreOption, option, output_option
from promise_seg.cli.train import make_accelerator
from promise_seg.errors import PromiseError
from promise_seg.files import check_writable
from promise_seg.vocabulary import Precision

if TYPE_CHECKING:
    from promise_seg.benchmarking.running import Benchmark
    from promise_seg.benchmarking.writing import Writer


def benchmark(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or paper: the published table.")],
    output: Annotated[Path, output_option("Folder of all runs, the tables and the report.")],
    plan: Annotated[bool, option("--plan", about="Only say what would be done.", panel=OUTPUT)] = False,
    device: DeviceOption = "auto",
    store: StoreOption = None,
) -> None:
    """Train and score many models on many data sets. The same command resumes after an interruption."""
    from promise_seg.benchmarking.cells import cells_of
    from promise_seg.benchmarking.spec import read_spec

    wanted = read_spec(spec)
    cells = list(cells_of(wanted))
    if plan:
        lines = [(c.data.name, c.sam.name, c.model.name, c.model.variant, str(c.seed)) for c in cells]
        print_table(("trained on", "SAM", "model", "variant", "seed"), lines, f"{wanted.title}: {len(cells)} cells")
        return
    check_writable(output)
    quiet_libraries()
    from promise_seg.benchmarking.running import Benchmark
    from promise_seg.benchmarking.writing import Writer
    from promise_seg.features.store import FeatureStore

    accelerator = make_accelerator(device, Precision(wanted.precision))
    with stages_bar() as progress:
        running = Benchmark(
            wanted, output, FeatureStore(store), accelerator, progress,
            lambda words: console.print(f"note: {words}", markup=False),
        )  # fmt: skip
    writer = Writer(running, spec)
    try:
        _run_all(running, writer)
    except KeyboardInterrupt:
        if writer.files:
            console.print(f"written, as far as it is done: {_names(writer.files)}", markup=False)
        raise
    console.print(f"written: {_names(writer.files)}", markup=False)
    if running.failed:
        raise PromiseError(
            f"{len(running.failed)} of {len(cells)} runs failed and are missing in the tables: "
            f"{', '.join(running.failed)}. Why is said above and in {output / 'table.md'}; mend it and give the same "
            "command: what is finished is kept"
        )


def _names(files: "list[Path]") -> str:
    return ", ".join(map(str, files))


def _run_all(running: "Benchmark", writer: "Writer") -> None:
    """Run every cell with a bar for its stages below the bar of all cells; all files are updated after each.

    Cells with scores from before come first, and nothing is written before all of them were looked through: tables of
    an earlier run are not replaced by smaller ones.
    """
    cells = running.cells()
    noted: set[str] = set()
    with progress_bars() as progress:
        every = progress.add_task("cells", total=len(cells), note="")
        for number, cell in enumerate(cells, 1):
            progress.update(every, note=cell.name)
            if cell.sam.name not in noted:
                noted.add(cell.sam.name)
                with suppress(PromiseError):  # the cell itself will say so
                    print_notes(running.sam(cell))
            if not running.attempt(cell, bar_of_stages(progress, "  ")):
                console.print(f"failed: {cell.name}: {running.failed[cell.name]}", markup=False)
            for task in progress.task_ids:
                if task != every:
                    progress.remove_task(task)
            progress.advance(every)
            if number == len(cells) or not running.has_scores(cells[number]):
                writer.write()
