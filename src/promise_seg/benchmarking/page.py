"""The report of a benchmark: tables, charts, differences, and everything needed to reproduce it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from promise_seg.assessment.measures import heading_of, lower_is_better, rule_for_nothing
from promise_seg.assessment.statistics import FEW_GROUPS, few_groups_note, interval_axis, interval_heading, marked_words
from promise_seg.assessment.strata import SIZE, SIZES
from promise_seg.benchmarking.card import card_section
from promise_seg.benchmarking.cells import TableLine, cells_of_line
from promise_seg.benchmarking.costs import log_of
from promise_seg.benchmarking.curves import training_sections
from promise_seg.benchmarking.gaps import Gap, count_words, gaps_in
from promise_seg.benchmarking.results import LineScores, Pair, cost_of, parameters_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.tables import Grid, caption_of, p_words, parts
from promise_seg.quantities import count_in_words
from promise_seg.reporting.blocks import Block, Section, Table, Text
from promise_seg.reporting.charts import interval_chart
from promise_seg.reporting.page import render_page

_KINDS = {False: "automatic", True: "prompts from the ground truth"}
_SELECTED = (
    "The best of each is selected by its score on test images, so that score is optimistic. To choose a model, compare "
    "the models on val images."
)


def render_benchmark(benchmark: Benchmark, scores: Sequence[LineScores], pairs: Sequence[Pair], spec: str) -> str:
    """Return the report of a benchmark as HTML, without images of the data."""
    sections = [_summary(benchmark, scores)]
    gaps = gaps_in(benchmark)
    if gaps:
        sections.insert(0, _missing(gaps))
    for data, sam, chosen in parts(scores):
        sections.append(_part(benchmark, data, sam, chosen))
    if pairs:
        sections.append(_differences(benchmark.spec.measures[0], pairs))
    if scores:
        sections += [_sizes(scores), _costs(benchmark, scores), *training_sections(benchmark, scores)]
    sections.append(card_section(benchmark, scores, spec))
    unfinished = ", not finished" if gaps else ""
    subtitle = f"{len(scores)} lines on test images{unfinished}, made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return render_page(benchmark.spec.title, subtitle, sections)


def _missing(gaps: Sequence[Gap]) -> Section:
    """Return the section on missing runs, so that nobody takes the report for a finished one."""
    rows = tuple(
        (gap.cell.data.name, gap.cell.sam.name, gap.cell.model.name, str(gap.cell.seed), " ".join(gap.why.split()))
        for gap in gaps
    )
    text = Text(
        f"{count_words(gaps)} Each line covers the seeds that it has; differences cover the seeds of both lines.",
        "warning",
    )
    return Section(
        "Not finished", (text, Table(("trained on", "SAM", "model", "seed", "why"), rows, "Runs that are missing"))
    )


def _summary(benchmark: Benchmark, scores: Sequence[LineScores]) -> Section:
    """Return the summary: the models and seeds, the best model for each kind of prompts, and warnings."""
    measure = benchmark.spec.measures[0]
    word, sign = heading_of(measure), -1 if lower_is_better(measure) else 1
    blocks: list[Block] = [Text(f"{len(benchmark.spec.models)} models, seeds {_list(benchmark.spec.seeds)}.")]
    where = _Where(scores)
    rows: list[tuple[str, ...]] = []
    groups: list[int] = []
    for key in dict.fromkeys((one.line.comparison_key, one.test) for one in scores if measure in one.values):
        comparable = [one for one in scores if (one.line.comparison_key, one.test) == key and measure in one.values]
        first = max(comparable, key=lambda one: sign * one.interval(measure).mean)
        interval = first.interval(measure)
        kind = _KINDS[first.line.reads_truth]
        groups.append(first.groups_count)
        ends = marked_words(interval)
        rows.append((*where.cells(first), kind, first.line.model.name, f"{interval.mean:.3f}", ends))
    if rows:
        head = (*where.head, "prompts", "the best", word, interval_heading(groups))
        blocks += [Table(head, tuple(rows), "The best of each"), Text(_SELECTED, "note")]
    blocks.append(
        Text(
            "Prompts from the ground truth show what a model can do when it is prompted well, not what it does "
            "automatically: the two kinds are never compared.",
            "note",
        )
    )
    looks = [seed.summary.test_looks for one in scores for seed in one.seeds]
    if again := sum(bool(look and look.note) for look in looks):
        blocks.append(Text(f"{again} evaluation(s) were a second look at test rows with another model.", "warning"))
    few = {one.test: one.groups_count for one in scores if one.groups_count < FEW_GROUPS}
    for test, count in few.items():
        blocks.append(Text(f"{test} has {count_in_words(count, 'group')}: {few_groups_note(count)}.", "note"))
    blocks.append(Text(f"Empty masks: {rule_for_nothing()}.", "note"))
    return Section("Summary", tuple(blocks))


class _Where:
    """The leading cells of a row: the training data, the SAM and the protocol, each only if the lines differ in it, and
    the test set."""

    def __init__(self, scores: Sequence[LineScores]) -> None:
        def several(of: Callable[[TableLine], str]) -> bool:
            return len({of(one.line) for one in scores}) > 1

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


def _part(benchmark: Benchmark, data: str, sam: str, scores: Sequence[LineScores]) -> Section:
    """Return the table of one data set and SAM, with a chart of the first measure for each test set."""
    measure = benchmark.spec.measures[0]
    grid = Grid(scores, benchmark.spec.measures)
    blocks: list[Block] = [
        Table(tuple(grid.head), tuple(map(tuple, grid.rows)), caption_of(data, sam, scores, bold=False))
    ]
    for test in dict.fromkeys(one.test for one in scores):
        rows = []
        for one in (f for f in scores if f.test == test and measure in f.values):
            interval = one.interval(measure)
            ends = None if interval.as_json() is None else (interval.low, interval.high)
            rows.append((one.line.name, interval.mean, ends, _KINDS[one.line.reads_truth]))
        word, groups = heading_of(measure), [one.groups_count for one in scores if one.test == test]
        blocks.append(
            interval_chart(
                rows,
                name=f"{word} of each model on {test}",
                x_label=f"mean {word}, {interval_axis(groups)}",
                caption=f"Test images: {test}.",
            )
        )
    objects = [(one, dice) for one in scores if (dice := one.object_dice()) is not None]
    if objects:
        rows_of_objects = tuple((one.line.model.name, one.line.prompts.heading, f"{dice:.3f}") for one, dice in objects)
        caption = "Mean Dice over objects, each prompted separately and weighted equally"
        blocks.append(Table(("model", "prompts", "Dice of objects"), rows_of_objects, caption))
    return Section(f"{data}, {sam}" if len(benchmark.spec.sams) > 1 else data, tuple(blocks))


def _differences(measure: str, pairs: Sequence[Pair]) -> Section:
    where = _Where([pair.first for pair in pairs])
    partial = any(one.line.missing for pair in pairs for one in (pair.first, pair.second))
    rows = tuple(
        (
            *where.cells(pair.first),
            f"{pair.second.line.name} minus {pair.first.line.name}",
            f"{pair.difference.interval.mean:+.3f}",
            marked_words(pair.difference.interval),
            f"{pair.difference.mean_of_groups:+.3f}",
            p_words(pair.p_holm),
            *([_list(pair.first.line.seeds)] if partial else []),
        )
        for pair in pairs
    )
    word = heading_of(measure)
    caption = f"{word} of the second minus that of the first, image by image, averaged over all seeds"
    texts = [
        Text(
            "Wilcoxon's signed-rank test on the groups, Holm-corrected for all comparisons listed; only models with "
            "the same kind of prompts are compared. With few groups, no p-value can be small. Differences weight "
            "images equally; the mean of groups weights groups equally, as the test does."
        )
    ]
    if other := [pair for pair in pairs if pair.difference.contradicts_itself]:
        names = _list(dict.fromkeys(f"{pair.second.line.name} minus {pair.first.line.name}" for pair in other))
        texts.append(Text(f"The test is significant in another direction than the difference: {names}.", "warning"))
    heading = interval_heading(pair.first.groups_count for pair in pairs)
    head = (
        *where.head, "models", f"Differences in {word}", heading, "mean of groups", "p (Holm)",
        *(["seeds"] if partial else []),
    )  # fmt: skip
    return Section("Differences", (*texts, Table(head, rows, caption)))


def _sizes(scores: Sequence[LineScores]) -> Section:
    """Return the section on Dice by object size, averaged over seeds."""
    where = _Where(scores)
    rows: list[tuple[str, ...]] = []
    for one in scores:
        values: dict[str, list[float]] = defaultdict(list)
        images: dict[str, int] = {}
        for seed in one.seeds:
            for name, stratum in seed.summary.strata.get(SIZE, {}).items():
                values[name].append(stratum.dice)
                images[name] = stratum.images
        rows += [
            (*where.cells(one), one.line.name, name, str(images[name]), f"{sum(dice) / len(dice):.3f}")
            for name, dice in sorted(values.items(), key=lambda entry: SIZES.index(entry[0]))  # in order of size
        ]
    head = (*where.head, "model", "object's share of the image", "images", "Dice")
    return Section("By object size", (Table(head, tuple(rows), "Mean Dice by object size"),))


def _costs(benchmark: Benchmark, scores: Sequence[LineScores]) -> Section:
    rows, encoding = [], []
    for line in {one.line.key[:3]: one.line for one in scores}.values():
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
            "Cost of training, averaged over seeds",
        )
    ]
    if encoding:
        blocks.append(Text(f"Encoding, once for all models: {'; '.join(dict.fromkeys(encoding))}."))
    if budgets := [model for model in benchmark.spec.models if model.budget_of is not None]:
        words = "; ".join(f"{model.name} as long as {model.budget_of}" for model in budgets)
        blocks.append(
            Text(f"Trained for the CPU time that encoding and training another model takes: {words}.", "note")
        )
    if patient := [model for model in benchmark.spec.models if model.patience is not None]:
        words = "; ".join(f"{m.name} after {m.patience} epochs, with {m.epochs} at most" for m in patient)
        blocks.append(Text(f"Early stopping, once val rows show no gain: {words}.", "note"))
    return Section("Costs", tuple(blocks))
