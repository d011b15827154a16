"""``promise benchmark``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TaskID

from promise_seg.cli.common import (
    DeviceOption,
    StoreOption,
    console,
    print_notes,
    print_table,
    progress_bar,
    quiet_libraries,
)
from promise_seg.cli.train import make_accelerator
from promise_seg.files import check_writable

if TYPE_CHECKING:
    from promise_seg.benchmarking.cells import Cell
    from promise_seg.benchmarking.running import Benchmark


def benchmark(
    spec: Annotated[str, typer.Argument(help="A YAML file, or paper: the published table.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of all runs, the tables and the report.")],
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    device: DeviceOption = "auto",
    store: StoreOption = None,
) -> None:
    """Train and score many models on many data sets. Finished parts are kept: the same command goes on."""
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
    from promise_seg.benchmarking.data_sets import manifest_rows, protocols_of
    from promise_seg.benchmarking.results import found_in, pairs_of
    from promise_seg.benchmarking.running import Benchmark
    from promise_seg.benchmarking.writing import write_all
    from promise_seg.features.store import FeatureStore

    accelerator = make_accelerator(device, wanted.precision)
    with progress_bar() as progress:
        total = sum(len(manifest_rows(data)) * len(protocols_of(wanted, data)) for data in wanted.data)
        checking = progress.add_task("checking", total=total, note="")
        running = Benchmark(
            wanted, output, FeatureStore(store), accelerator, lambda: progress.advance(checking),
            lambda words: console.print(f"note: {words}", markup=False),
        )  # fmt: skip
    _run_all(running, cells)
    found = found_in(running)
    pairs = pairs_of(found, wanted.measures[0])
    files = write_all(running, found, pairs, spec)
    console.print(f"written: {', '.join(map(str, files))}")


def _run_all(running: "Benchmark", cells: "list[Cell]") -> None:
    """Every cell with a bar of its own stages under the bar of all."""
    noted: set[str] = set()
    with progress_bar() as progress:
        every = progress.add_task("cells", total=len(cells), note="")
        for cell in cells:
            progress.update(every, note=cell.name)
            if cell.sam.name not in noted:
                noted.add(cell.sam.name)
                print_notes(running.sam(cell))
            tasks: dict[str, TaskID] = {}

            def report(stage: str, done: int, total: int, note: str, tasks: dict[str, TaskID] = tasks) -> None:
                if stage not in tasks:
                    tasks[stage] = progress.add_task(f"  {stage}", total=total, note="")
                progress.update(tasks[stage], completed=done, note=note)

            running.run(cell, report)
            for task in tasks.values():
                progress.remove_task(task)
            progress.advance(every)
