"""A benchmark as a page: its tables, charts and differences, and what is needed to have it again."""

import json
import shlex
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import yaml

from promise_seg.assessment.report import RULE_FOR_NOTHING, interval_words
from promise_seg.benchmarking.cells import Line, cells_of_line
from promise_seg.benchmarking.results import Found, Pair, cost_of, parameters_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.tables import HEADINGS, LOWER_IS_BETTER, Grid, caption_of, parts
from promise_seg.data.checks import data_sha256
from promise_seg.data.manifest import Split
from promise_seg.environment import collect_environment
from promise_seg.learning.training import LOG_FILE
from promise_seg.reporting.blocks import Block, Commands, Facts, Section, Table, Text
from promise_seg.reporting.card import licence_of
from promise_seg.reporting.card_section import environment_facts
from promise_seg.reporting.charts import interval_chart, line_chart
from promise_seg.reporting.page import render_page
from promise_seg.reporting.source_code import code_sha256, git_commit

_KINDS = {False: "automatic", True: "prompts from the ground truth"}


def render_benchmark(benchmark: Benchmark, found: Sequence[Found], pairs: Sequence[Pair], spec: str) -> str:
    """One HTML file with all of a benchmark; it holds no image."""
    sections = [_summary(benchmark, found)]
    for data, sam, chosen in parts(found):
        sections.append(_part(benchmark, data, sam, chosen))
    if pairs:
        sections.append(_differences(benchmark.spec.measures[0], pairs))
    sections += [_sizes(found), _costs(benchmark, found), *_curves(benchmark, found), _card(benchmark, found, spec)]
    subtitle = f"{len(found)} lines on test images, made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return render_page(benchmark.spec.title, subtitle, sections)


def _summary(benchmark: Benchmark, found: Sequence[Found]) -> Section:
    """What is compared, and the best of each kind; and what a reader must know first."""
    measure = benchmark.spec.measures[0]
    word, sign = HEADINGS.get(measure, measure), -1 if measure in LOWER_IS_BETTER else 1
    blocks: list[Block] = [Text(f"{len(benchmark.spec.models)} models, seeds {_list(benchmark.spec.seeds)}.")]
    best = []
    for data, _, chosen in parts(found):
        for reads_truth, kind in _KINDS.items():
            for test in dict.fromkeys(one.test for one in chosen):
                rivals = [one for one in chosen if one.line.reads_truth == reads_truth and one.test == test]
                rivals = [one for one in rivals if measure in one.values]
                if rivals:
                    first = max(rivals, key=lambda one: sign * one.interval(measure).mean)
                    between = interval_words(first.interval(measure))
                    best.append(
                        (data, test, kind, first.line.model.name, f"{first.interval(measure).mean:.3f}", between)
                    )
    blocks.append(
        Table(("trained on", "tested on", "prompts", "the best", word, "95 %"), tuple(best), "The best of each")
    )
    blocks.append(
        Text(
            "Prompts from the ground truth are made by someone who knows the answer. They show what a model can do "
            "when it is prompted well, and not what it does by itself: the two kinds are never compared.",
            "note",
        )
    )
    notes = [seed.summary.get("test_looks") for one in found for seed in one.seeds]
    if again := sum(bool(note and note.get("note")) for note in notes):
        blocks.append(Text(f"{again} evaluation(s) were a second look at test rows with another model.", "warning"))
    if few := [one.test for one in found if len(set(one.groups.values())) < 10]:
        blocks.append(Text(f"With fewer than ten groups ({_list(dict.fromkeys(few))}), intervals are rough.", "note"))
    blocks.append(Text(f"Rule for nothing: {RULE_FOR_NOTHING}.", "note"))
    return Section("Summary", tuple(blocks))


def _list(values: Sequence[object] | dict) -> str:
    return ", ".join(map(str, values))


def _part(benchmark: Benchmark, data: str, sam: str, found: Sequence[Found]) -> Section:
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
            rows.append((_short_name(one.line), interval.mean, ends, _KINDS[one.line.reads_truth]))
        word = HEADINGS.get(measure, measure)
        blocks.append(
            interval_chart(rows, name=f"{word} of each model on {test}", x_label=f"mean {word}, 95 % over groups",
                           caption=f"Test images: {test}.")
        )  # fmt: skip
    objects = [(one, dice) for one in found if (dice := one.object_dice()) is not None]
    if objects:
        rows_of_objects = tuple((one.line.model.name, one.line.prompts.label, f"{dice:.3f}") for one, dice in objects)
        caption = "Mean Dice over objects, each prompted for itself and counting the same"
        blocks.append(Table(("model", "prompts", "Dice of objects"), rows_of_objects, caption))
    return Section(f"{data}, {sam}" if len(benchmark.spec.sams) > 1 else data, tuple(blocks))


def _short_name(line: Line) -> str:
    """A model with its prompts in a word."""
    words = {"apm": "own", "oracle": "oracle", "box": "box", "none": "no prompts"}
    return line.model.name if line.model.variant == "unet" else f"{line.model.name}, {words[str(line.prompts)]}"


def _differences(measure: str, pairs: Sequence[Pair]) -> Section:
    rows = tuple(
        (
            pair.first.test,
            f"{_short_name(pair.second.line)} less {_short_name(pair.first.line)}",
            f"{pair.difference.interval.mean:+.3f}",
            interval_words(pair.difference.interval),
            f"{pair.p_holm:.3f}",
        )
        for pair in pairs
    )
    word = HEADINGS.get(measure, measure)
    caption = f"{word} of the second less that of the first, image by image, over the means of all seeds"
    text = Text(
        "Wilcoxon's signed-rank test on the groups, corrected after Holm for all that are listed; only models with the "
        "same kind of prompts are compared. With few groups no p-value can be small."
    )
    return Section(
        "Differences", (text, Table(("tested on", "models", f"{word} apart", "95 %", "p (Holm)"), rows, caption))
    )


def _sizes(found: Sequence[Found]) -> Section:
    """Dice by the object's size, the mean over seeds."""
    rows = []
    for one in found:
        values: dict[str, list[float]] = defaultdict(list)
        images: dict[str, int] = {}
        for seed in one.seeds:
            for name, stratum in seed.summary.get("strata", {}).get("size", {}).items():
                values[name].append(stratum["dice"])
                images[name] = stratum["images"]
        rows += [
            (one.test, _short_name(one.line), name, str(images[name]), f"{sum(dice) / len(dice):.3f}")
            for name, dice in values.items()
        ]
    head = ("tested on", "model", "object's share of the image", "images", "Dice")
    return Section("By size of the object", (Table(head, tuple(rows), "Mean Dice by size of the object"),))


def _costs(benchmark: Benchmark, found: Sequence[Found]) -> Section:
    lines = {one.line.key[:3]: one.line for one in found}
    rows = []
    encoding = []
    for line in lines.values():
        cost = cost_of(benchmark, line)
        spent = "-" if cost is None else f"{cost:,.0f}"
        rows.append((line.data, line.sam, line.model.name, f"{parameters_of(benchmark, line):,}", spent))
        once = benchmark.encoding(cells_of_line(benchmark.spec, line)[0])
        encoding.append(f"{line.data}, {line.sam}: {once['views']:.0f} views in {once['cpu_seconds']:,.0f} CPU seconds")
    text = Text(f"Encoding, once for all models: {'; '.join(dict.fromkeys(encoding))}. A bare SAM is not trained.")
    head = ("trained on", "SAM", "model", "trained parameters", "CPU seconds of training")
    return Section("Costs", (Table(head, tuple(rows), "What training took, the mean over seeds"), text))


def _curves(benchmark: Benchmark, found: Sequence[Found]) -> list[Section]:
    """Dice on val rows over the epochs, a chart for each data set and SAM; the mean over seeds of equal length."""
    charts: list[Block] = []
    for data, sam, chosen in parts(found):
        series = {}
        for line in {one.line.model.name: one.line for one in chosen}.values():
            logs = []
            for cell in cells_of_line(benchmark.spec, line):
                path = cell.folder(benchmark.output) / LOG_FILE
                if path.exists():
                    logs.append(
                        [json.loads(text)["val_dice"] for text in path.read_text(encoding="utf-8").splitlines()]
                    )
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


def _card(benchmark: Benchmark, found: Sequence[Found], spec: str) -> Section:
    """Hashes, licences, versions, the settings as they were given, and the command."""
    pairs = [("Seeds", _list(benchmark.spec.seeds))]
    for data in benchmark.spec.data:
        rows = benchmark.manifests[data.name]
        counts = ", ".join(f"{sum(row.split == split for row in rows)} {split}" for split in Split)
        checked = benchmark.rows(data, benchmark.spec.protocol_of(benchmark.spec.models[0]))
        pairs += [
            (f"Data: {data.name}", counts),
            (f"SHA-256 of {data.name}", data_sha256(checked)),
        ]
    hashes = {one.line.sam: one.seeds[0].summary["sam_sha256"] for one in found}
    for sam in benchmark.spec.sams:
        pairs += [
            (f"SAM: {sam.name}", f"{sam.source}; weights: {licence_of(sam.source)}"),
            (f"SHA-256 of {sam.name}", hashes.get(sam.name, "not used yet")),
        ]
    pairs += [
        ("SHA-256 of the code", code_sha256()),
        ("Git commit of the code", git_commit() or "none"),
        *environment_facts(collect_environment(benchmark.accelerator.device), "This page"),
    ]
    settings = yaml.safe_dump(
        benchmark.spec.model_dump(mode="json", exclude_defaults=True), sort_keys=False, default_flow_style=None
    )
    output = shlex.quote(str(benchmark.output))
    return Section(
        "Run card",
        (
            Facts(tuple(pairs)),
            Text("The command that repeats this, and what it read:"),
            Commands((f"promise benchmark {shlex.quote(spec)} -o {output}",)),
            Commands(tuple(settings.splitlines())),
        ),
    )
