"""Charts of the training of all models of a benchmark: Dice on val rows over epochs and over CPU time."""

from collections.abc import Sequence
from typing import NamedTuple

from promise_seg.benchmarking.cells import TableLine, cells_of_line
from promise_seg.benchmarking.costs import log_of
from promise_seg.benchmarking.results import LineScores
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.tables import parts
from promise_seg.reporting.blocks import Block, Section, Text
from promise_seg.reporting.charts import line_chart

_Points = list[tuple[float, float]]


class _Curve(NamedTuple):
    """The mean Dice of a model on val rows, averaged over seeds, up to the last epoch that all seeds have."""

    over_epochs: _Points
    over_seconds: _Points


def training_sections(benchmark: Benchmark, scores: Sequence[LineScores]) -> list[Section]:
    """Return a section with two charts for each data set and SAM, or none if nothing was trained."""
    charts: list[Block] = []
    for data, sam, chosen in parts(scores):
        lines = {one.line.model.name: one.line for one in chosen}
        curves = {name: curve for name, line in lines.items() if (curve := _curve_of(benchmark, line))}
        if not curves:
            continue
        charts += [
            line_chart(
                {name: curve.over_epochs for name, curve in curves.items()},
                name=f"Dice on val images over epochs: {data}, {sam}", x_label="epoch", y_label="mean Dice on val",
                y_limits=(0, 1), caption=f"Trained on {data}, SAM {sam}.",
            ),
            line_chart(
                {name: curve.over_seconds for name, curve in curves.items()},
                name=f"Dice on val images over CPU seconds: {data}, {sam}", x_label="CPU seconds, encoding included",
                y_label="mean Dice on val", y_limits=(0, 1), caption=f"The same over CPU time: {data}, {sam}.",
            ),
        ]  # fmt: skip
    if not charts:
        return []
    text = Text(
        "On val images, which select the epoch; with own prompts if a model has them, otherwise with oracle points. A "
        "curve over CPU seconds begins after the views were encoded, as far as that was measured."
    )
    return [Section("Training", (text, *charts))]


def _curve_of(benchmark: Benchmark, line: TableLine) -> _Curve | None:
    """Return the curve of a model; ``None`` if none of its runs has a log."""
    cells = cells_of_line(benchmark.spec, line)
    logs = [log for cell in cells if (log := log_of(cell.folder(benchmark.output)))]
    if not logs:
        return None
    encoding = benchmark.encoding_cost(cells[0]) if line.model.is_promise else None
    spent = 0.0 if encoding is None else benchmark.views(cells[0]) * encoding["cpu_seconds_per_view"]
    curve = _Curve([], [])
    for number, epoch in enumerate(zip(*logs, strict=False), start=1):
        spent += sum(one.get("cpu_seconds", 0.0) for one in epoch) / len(epoch)
        if any("val_dice" not in one for one in epoch):
            continue  # the val rows were not scored after this epoch
        dice = sum(one["val_dice"] for one in epoch) / len(epoch)
        curve.over_epochs.append((float(number), dice))
        curve.over_seconds.append((spent, dice))
    return curve
