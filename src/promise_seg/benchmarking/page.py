"""A benchmark as a page: its tables, charts and differences, and what is needed to have it again."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from promise_seg.assessment.measures import heading_of, lower_is_better, rule_for_nothing
from promise_seg.assessment.statistics import interval_words
from promise_seg.assessment.strata import SIZE, SIZES
from promise_seg.benchmarking.card import card_section
from promise_seg.benchmarking.cells import TableLine, cells_of_line
from promise_seg.benchmarking.costs import log_of
from promise_seg.benchmarking.gaps import Gap, count_words, gaps_in
from promise_seg.benchmarking.results import LineScores, Pair, cost_of, parameters_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.tables import Grid, caption_of, p_words, parts
from promise_seg.reporting.blocks import Block, Section, Table, Text
from promise_seg.reporting.charts import interval_chart, line_chart
from promise_seg.reporting.page import render_page

_KINDS = {False: "automatic", True: "prompts from the ground truth"}


def render_benchmark(benchmark: Benchmark, found: Sequence[LineScores], pairs: Sequence[Pair], spec: str) -> str:
    """One HTML file with all of a benchmark; it holds no image."""
    sections = [_summary(benchmark, found)]
    gaps = gaps_in(benchmark)
    if gaps:
        sections.insert(0, _missing(gaps))
    for data, sam, chosen in parts(found):
        sections.append(_part(benchmark, data, sam, chosen))
    if pairs:
        sections.append(_differences(benchmark.spec.measures[0], pairs))
    if found:
        sections += [_sizes(found), _costs(benchmark, found), *_curves(benchmark, found)]
    sections.append(card_section(benchmark, found, spec))
    unfinished = ", not finished" if gaps else ""
    subtitle = f"{len(found)} lines on test images{unfinished}, made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return render_page(benchmark.spec.title, subtitle, sections)


def _missing(gaps: Sequence[Gap]) -> Section:
    """The runs whose scores are not there, so that no one takes a part for the whole."""
    rows = tuple(
        (gap.cell.data.name, gap.cell.sam.name, gap.cell.model.name, str(gap.cell.seed), " ".join(gap.why.split()))
        for gap in gaps
    )
    text = Text(
        f"{count_words(gaps)} Lines are over the seeds that there are; differences over those that both lines have.",
        "warning",
    )
    return Section(
        "Not finished", (text, Table(("trained on", "SAM", "model", "seed", "why"), rows, "Runs that are missing"))
    )


def _summary(benchmark: Benchmark, found: Sequence[LineScores]) -> Section:
    """What is compared, and the best of each kind; and what a reader must know first."""
    measure = benchmark.spec.measures[0]
    word, sign = heading_of(measure), -1 if lower_is_better(measure) else 1
    blocks: list[Block] = [Text(f"{len(benchmark.spec.models)} models, seeds {_list(benchmark.spec.seeds)}.")]
    where = _Where(found)
    rows: list[tuple[str, ...]] = []
    for key in dict.fromkeys((one.line.rivals_key, one.test) for one in found if measure in one.values):
        rivals = [one for one in found if (one.line.rivals_key, one.test) == key and measure in one.values]
        first = max(rivals, key=lambda one: sign * one.interval(measure).mean)
        interval = first.interval(measure)
        kind = _KINDS[first.line.reads_truth]
        ends = interval_words(interval)
        rows.append((*where.cells(first), kind, first.line.model.name, f"{interval.mean:.3f}", ends))
    if rows:
        blocks.append(Table((*where.head, "prompts", "the best", word, "95 %"), tuple(rows), "The best of each"))
    blocks.append(
        Text(
            "Prompts from the ground truth are made by someone who knows the answer. They show what a model can do "
            "when it is prompted well, and not what it does by itself: the two kinds are never compared.",
            "note",
        )
    )
    peeks = [seed.summary.test_looks for one in found for seed in one.seeds]
    if again := sum(bool(peek and peek.note) for peek in peeks):
        blocks.append(Text(f"{again} evaluation(s) were a second look at test rows with another model.", "warning"))
    if few := [one.test for one in found if len(set(one.groups.values())) < 10]:
        blocks.append(Text(f"With fewer than ten groups ({_list(dict.fromkeys(few))}), intervals are rough.", "note"))
    blocks.append(Text(f"Rule for nothing: {rule_for_nothing()}.", "note"))
    return Section("Summary", tuple(blocks))


class _Where:
    """Cells that say what a row is about: the test set and, where there are several, the data that was trained on, the
    SAM and the protocol."""

    def __init__(self, found: Sequence[LineScores]) -> None:
        def several(of: Callable[[TableLine], str]) -> bool:
            return len({of(one.line) for one in found}) > 1

        parts: list[tuple[str, Callable[[TableLine], str]]] = [
            ("trained on", lambda line: line.data), ("SAM", lambda line: line.sam),
            ("protocol", lambda line: str(line.protocol)),
        ]  # fmt: skip
        self._parts = [(name, of) for name, of in parts if several(of)]
        self.head = (*(name for name, _ in self._parts), "tested on")

    def cells(self, one: LineScores) -> tuple[str, ...]:
        return (*(of(one.line) for _, of in self._parts), one.test)


def _list(values: Sequence[object] | dict) -> str:
    return ", ".join(map(str, values))


def _part(benchmark: Benchmark, data: str, sam: str, found: Sequence[LineScores]) -> Section:
    """The table of one data set and SAM, and its first measure as charts, one for each test set."""
    measure = benchmark.spec.measures[0]
    grid = Grid(found, benchmark.spec.measures)
    blocks: list[Block] = [
        Table(tuple(grid.head), tuple(map(tuple, grid.rows)), caption_of(data, sam, found, bold=False))
    ]
    for test in dict.fromkeys(one.test for one in found):
        rows = []
        for one in (f for f in found if f.test == test and measure in f.values):
            interval = one.interval(measure)
            ends = None if interval.as_json() is None else (interval.low, interval.high)
            rows.append((one.line.name, interval.mean, ends, _KINDS[one.line.reads_truth]))
        word = heading_of(measure)
        blocks.append(
            interval_chart(rows, name=f"{word} of each model on {test}", x_label=f"mean {word}, 95 % over groups",
                           caption=f"Test images: {test}.")
        )  # fmt: skip
    objects = [(one, dice) for one in found if (dice := one.object_dice()) is not None]
    if objects:
        rows_of_objects = tuple((one.line.model.name, one.line.prompts.heading, f"{dice:.3f}") for one, dice in objects)
        caption = "Mean Dice over objects, each prompted for itself and counting the same"
        blocks.append(Table(("model", "prompts", "Dice of objects"), rows_of_objects, caption))
    return Section(f"{data}, {sam}" if len(benchmark.spec.sams) > 1 else data, tuple(blocks))


def _differences(measure: str, pairs: Sequence[Pair]) -> Section:
    where = _Where([pair.first for pair in pairs])
    partial = any(one.line.missing for pair in pairs for one in (pair.first, pair.second))
    rows = tuple(
        (
            *where.cells(pair.first),
            f"{pair.second.line.name} less {pair.first.line.name}",
            f"{pair.difference.interval.mean:+.3f}",
            interval_words(pair.difference.interval),
            p_words(pair.p_holm),
            *([_list(pair.first.line.seeds)] if partial else []),
        )
        for pair in pairs
    )
    word = heading_of(measure)
    caption = f"{word} of the second less that of the first, image by image, over the means of all seeds"
    text = Text(
        "Wilcoxon's signed-rank test on the groups, corrected after Holm for all that are listed; only models with the "
        "same kind of prompts are compared. With few groups no p-value can be small."
    )
    head = (*where.head, "models", f"{word} apart", "95 %", "p (Holm)", *(["seeds"] if partial else []))
    return Section("Differences", (text, Table(head, rows, caption)))


def _sizes(found: Sequence[LineScores]) -> Section:
    """Dice by the object's size, the mean over seeds."""
    where = _Where(found)
    rows: list[tuple[str, ...]] = []
    for one in found:
        values: dict[str, list[float]] = defaultdict(list)
        images: dict[str, int] = {}
        for seed in one.seeds:
            for name, stratum in seed.summary.strata.get(SIZE, {}).items():
                values[name].append(stratum.dice)
                images[name] = stratum.images
        rows += [
            (*where.cells(one), one.line.name, name, str(images[name]), f"{sum(dice) / len(dice):.3f}")
            for name, dice in sorted(values.items(), key=lambda entry: SIZES.index(entry[0]))  # not by the alphabet
        ]
    head = (*where.head, "model", "object's share of the image", "images", "Dice")
    return Section("By size of the object", (Table(head, tuple(rows), "Mean Dice by size of the object"),))


def _costs(benchmark: Benchmark, found: Sequence[LineScores]) -> Section:
    rows, encoding = [], []
    for line in {one.line.key[:3]: one.line for one in found}.values():
        cells = cells_of_line(benchmark.spec, line)
        epochs = [len(log_of(cell.folder(benchmark.output))) for cell in cells]
        cost = cost_of(benchmark, line)
        lasted = f"{min(epochs)} to {max(epochs)}" if len(set(epochs)) > 1 else str(epochs[0] or "-")
        spent = "-" if cost is None else f"{cost:,.0f}"
        rows.append((line.data, line.sam, line.model.name, f"{parameters_of(benchmark, line):,}", lasted, spent))
        measured = benchmark.encoding_cost(cells[0])
        if measured is not None and line.model.is_promise:
            per_view = measured["cpu_seconds_per_view"]
            views = benchmark.views(cells[0])
            encoding.append(f"{line.data}, {line.sam}: {views:,} views, {views * per_view:,.0f} CPU seconds")
    blocks: list[Block] = [
        Table(
            ("trained on", "SAM", "model", "trained parameters", "epochs", "CPU seconds of training"),
            tuple(rows),
            "What training took, the mean over seeds",
        )
    ]
    if encoding:
        blocks.append(Text(f"Encoding, once for all models: {'; '.join(dict.fromkeys(encoding))}."))
    if budgets := [model for model in benchmark.spec.models if model.budget_of is not None]:
        words = "; ".join(f"{model.name} as long as {model.budget_of}" for model in budgets)
        blocks.append(Text(f"Trained for the CPU time that encoding and training of another take: {words}.", "note"))
    return Section("Costs", tuple(blocks))


def _curves(benchmark: Benchmark, found: Sequence[LineScores]) -> list[Section]:
    """Dice on val rows over the epochs, a chart for each data set and SAM; the mean over seeds of equal length."""
    charts: list[Block] = []
    for data, sam, chosen in parts(found):
        series = {}
        for line in {one.line.model.name: one.line for one in chosen}.values():
            cells = cells_of_line(benchmark.spec, line)
            logs = [[epoch["val_dice"] for epoch in log_of(cell.folder(benchmark.output))] for cell in cells]
            logs = [log for log in logs if log]
            if logs:
                shortest = min(map(len, logs))
                means = [sum(log[epoch] for log in logs) / len(logs) for epoch in range(shortest)]
                series[line.model.name] = [(float(epoch + 1), dice) for epoch, dice in enumerate(means)]
        if series:
            charts.append(
                line_chart(series, name=f"Dice on val images over epochs: {data}, {sam}", x_label="epoch",
                           y_label="mean Dice on val", y_limits=(0, 1), caption=f"Trained on {data}, SAM {sam}.")
            )  # fmt: skip
    if not charts:
        return []
    text = Text(
        "On val images, by which the epoch was chosen; with own points where a model has them, or else oracle ones."
    )
    return [Section("Training", (text, *charts))]
