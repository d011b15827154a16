"""Turn a report into the sections of a page."""

from promise_seg.assessment.budget import MAP_ALONE
from promise_seg.assessment.measures import heading_of, lower_is_better
from promise_seg.assessment.measuring import parse_tolerance
from promise_seg.assessment.statistics import (
    few_groups_note,
    interval_axis,
    interval_heading,
    interval_words,
    marked_words,
)
from promise_seg.quantities import count_in_words
from promise_seg.reporting.blocks import Block, Facts, Gallery, Section, Table, Text
from promise_seg.reporting.card_section import card_section
from promise_seg.reporting.charts import interval_chart, line_chart
from promise_seg.reporting.document import ReportedEvaluation, RunReport
from promise_seg.reporting.trust_section import trust_section
from promise_seg.reporting.volumes_section import volumes_section

_FROM_TRUTH = " (from the ground truth)"
_LOSSES = ("mask", "point", "saliency")


def report_sections(report: RunReport, gallery: Gallery | None = None) -> list[Section]:
    """Return the sections of a page, in order.

    Args:
        report: the content of the report.
        gallery: the gallery of the worst cases; without it, they are listed in a table.
    """
    sections = [_summary(report), _measures(report.evaluations)]
    if report.evaluations[0].volumes is not None:
        sections.append(volumes_section(report.evaluations))
    sections += [_strata(report.evaluations, by) for by in report.evaluations[0].strata]
    if report.curves:
        sections.append(_curves(report))
    if report.budget or report.budget_notes:
        sections.append(_budget(report))
    sections += [trust_section(one) for one in report.evaluations if one.prompts == "apm"]
    if report.worst:
        sections.append(Section("Worst cases", (gallery or _worst_table(report),)))
    return [*sections, card_section(report.card)]


def _ends(ends: tuple[float, float] | None) -> str:
    return interval_words(None if ends is None else list(ends))


def _with_ends(mean: float, ends: tuple[float, float] | None, groups: int) -> str:
    return f"{mean:.3f}" if ends is None else f"{mean:.3f} ({interval_heading([groups])}: {_ends(ends)})"


def _summary(report: RunReport) -> Section:
    main = report.evaluations[0]
    numbers = [(f"Dice, {one.name}", f"{one.mean['dice']:.3f}") for one in report.evaluations]
    count, _, words = main.images_words.partition(" ")
    numbers.append((f"{words}, in {main.groups} groups", count))
    lines = "; ".join(
        f"{_with_ends(one.mean['dice'], one.interval['dice'], one.groups)} with {one.name}"
        for one in report.evaluations
    )
    blocks: list[Block] = [
        Facts(tuple(numbers), prominent=True),
        Text(
            f"{report.card.model} (variant {report.card.variant}, SAM {report.card.sam}) has a mean Dice of {lines}. "
            f"{_volumes_words(report.evaluations)}Post-processing: {main.postprocessing}."
        ),
    ]
    blocks += _warnings(report)
    return Section("Summary", tuple(blocks))


def _volumes_words(evaluations: tuple[ReportedEvaluation, ...]) -> str:
    """Return a sentence on the Dice of volumes; empty if the images are not slices of volumes."""
    lines = "; ".join(
        f"{_with_ends(one.volumes.mean['dice'], one.volumes.interval['dice'], one.volumes.groups)} with {one.name}"
        for one in evaluations
        if one.volumes is not None
    )
    main = evaluations[0].volumes
    return "" if main is None else f"Over its {main.volumes_words}, the mean Dice is {lines}. "


def _warnings(report: RunReport) -> list[Text]:
    """Return the warnings and notes that a reader must see before the numbers."""
    found = []
    said = [part for one in report.evaluations for part in (one.seen_in_training, one.test_looks)]
    notes = dict.fromkeys(part.note for part in said if part is not None)
    notes |= dict.fromkeys(one.test_looks.damage_note for one in report.evaluations if one.test_looks is not None)
    found += [Text(f"{note[0].upper()}{note[1:]}.", "warning") for note in notes if note]
    beside = dict.fromkeys(one.test_looks.beside_note for one in report.evaluations if one.test_looks is not None)
    found += [Text(f"{note[0].upper()}{note[1:]}.", "note") for note in beside if note]
    if oracle := [one.name for one in report.evaluations if one.prompts_read_the_ground_truth]:
        names = ", ".join(name.removesuffix(_FROM_TRUTH) for name in oracle)
        found.append(
            Text(
                f"These prompts come from the ground truth: {names}. Their scores show what the model can do when it "
                "is prompted well, not what it does automatically.",
                "note" if len(oracle) < len(report.evaluations) else "warning",
            )
        )
    groups = report.evaluations[0].groups
    if (few := few_groups_note(groups)) is not None:
        found.append(Text(f"The images form {count_in_words(groups, 'group')}: {few}.", "note"))
    return found


def _measures(evaluations: tuple[ReportedEvaluation, ...]) -> Section:
    head = ["measure", "better"]
    for one in evaluations:
        head += [one.name, interval_heading([one.groups])]
    names = dict.fromkeys(name for one in evaluations for name in one.mean)
    unit = parse_tolerance(evaluations[0].tolerance).unit
    rows = []
    for name in names:
        cells = [heading_of(name, unit), "lower" if lower_is_better(name) else "higher"]
        for one in evaluations:
            has_it = name in one.mean
            cells += [f"{one.mean[name]:.3f}" if has_it else "-", _ends(one.interval.get(name)) if has_it else "-"]
        rows.append(tuple(cells))
    main = evaluations[0]
    caption = (
        f"Means over {main.images_words}, weighted equally; intervals over {count_in_words(main.groups, 'group')}. "
        f"Tolerance of surface Dice: {main.tolerance}."
    )
    texts = [_nothing_words(evaluations)]
    texts += [
        Text(
            f"{one.objects} objects, each prompted separately ({one.name}), have a mean Dice of {one.object_dice:.3f}."
        )
        for one in evaluations
        if one.objects is not None and one.object_dice is not None
    ]
    rule = Text(f"Empty masks: {main.rule_for_nothing}.", "note")
    return Section("Measures", (Table(tuple(head), tuple(rows), caption), *texts, rule))


def _nothing_words(evaluations: tuple[ReportedEvaluation, ...]) -> Text:
    main = evaluations[0]
    silent = ", ".join(f"{one.images_with_empty_prediction} with {one.name}" for one in evaluations)
    return Text(
        f"Empty ground truth: {main.images_with_empty_truth} of {main.images} images. Empty prediction: {silent}."
    )


def _strata(evaluations: tuple[ReportedEvaluation, ...], by: str) -> Section:
    what = "object size" if by == "size" else by
    parts = evaluations[0].strata[by]
    found = [(one, name, one.strata[by][name]) for name in parts for one in evaluations]
    counts = [part.groups for *_, part in found]
    chart = interval_chart(
        [(name, part.dice, part.dice_interval, one.name) for one, name, part in found],
        name=f"Mean Dice by {what}, with intervals ({interval_heading(counts)})",
        x_label=f"mean Dice, {interval_axis(counts)}",
        caption="The object's share of the image." if by == "size" else "",
    )
    rows = tuple(
        (
            name,
            one.name,
            str(part.images),
            str(part.groups),
            f"{part.dice:.3f}",
            marked_words(part.dice_interval, part.groups),
            f"{part.iou:.3f}",
        )
        for one, name, part in found
    )
    head = (by, "prompts", "images", "groups", "Dice", interval_heading(counts), "IoU")
    return Section(f"By {what}", (chart, Table(head, rows, f"Mean Dice and IoU by {what}")))


def _curves(report: RunReport) -> Section:
    lines = [epoch.model_dump() for epoch in report.curves]
    parts = [name for name in _LOSSES if any(name in line for line in lines)]
    losses = {name: [(line["epoch"], line[name]) for line in lines if name in line] for name in parts}
    scored = [(epoch.epoch, epoch.val_dice) for epoch in report.curves if epoch.val_dice is not None]
    charts: list[Block] = []
    if losses:
        charts.append(
            line_chart(
                losses, name="Losses of training over epochs", x_label="epoch", y_label="loss (log scale)", log_y=True,
                caption="The weighted parts of the loss.",
            )
        )  # fmt: skip
    if scored:
        epoch, best = max(scored, key=lambda one: one[1])
        charts.append(
            line_chart(
                {"val Dice": scored},
                name="Mean Dice on val images over epochs", x_label="epoch", y_label="mean Dice", y_limits=(0, 1),
                marks=[(epoch, best, f"best: {best:.3f}, epoch {epoch}")],
                caption="On val images, which select the epoch.",
            )
        )  # fmt: skip
    return Section("Training", tuple(charts))


def _budget(report: RunReport) -> Section:
    notes = tuple(Text(f"{note[0].upper()}{note[1:]}.", "note") for note in report.budget_notes)
    if not report.budget:
        return Section("Prompt error budget", notes)
    kinds = {False: "automatic, or none", True: "from the ground truth"}
    groups = [report.evaluations[0].groups]
    chart = interval_chart(
        [(one.prompts, one.dice, one.interval, kinds[one.reads_the_ground_truth]) for one in report.budget],
        name=f"Mean Dice with every kind of prompts, with intervals ({interval_heading(groups)})",
        x_label=f"mean Dice, {interval_axis(groups)}",
        caption="Jittered: points moved at random; the standard deviation is a share of the image's side.",
    )
    rows = tuple(
        (
            one.prompts,
            kinds[one.reads_the_ground_truth],
            f"{one.dice:.3f}",
            _ends(one.interval),
            str(one.draws),
            "-" if one.spread_of_draws is None else f"{one.spread_of_draws:.4f}",
        )
        for one in report.budget
    )
    head = ("prompts", "source", "Dice", interval_heading(groups), "draws", "SD of draws")
    caption = (
        "Mean Dice with every kind of prompts. Prompts that are drawn at random are drawn several times: the SD is the "
        "standard deviation of the mean Dice over these draws."
    )
    table = Table(head, rows, caption)
    return Section("Prompt error budget", (*_budget_texts(report), *notes, chart, table))


def _budget_texts(report: RunReport) -> tuple[Text, ...]:
    """Return how to read the prompt error budget."""
    together = "For instance maps, all objects are prompted together here."
    if all(one.prompts_used for one in report.budget):
        meaning = "If good prompts help much, the prompts limit the result; if they do not, the decoder does."
        return (Text(f"The same images with every kind of prompts. {meaning} {together}"),)
    alone = Text(f"{MAP_ALONE[0].upper()}{MAP_ALONE[1:]}.", "note")
    return (Text(f"The same images with every kind of prompts. {together}"), alone)


def _worst_table(report: RunReport) -> Table:
    rows = tuple(
        (
            one.image,
            f"{one.dice:.3f}",
            f"{one.iou:.3f}",
            f"{100 * one.share:.2f} %",
            "-" if one.trust is None else f"{one.trust:.3f}",
        )
        for one in report.worst
    )
    head = ("image", "Dice", "IoU", "object's share of the image", "trust")
    return Table(head, rows, f"The lowest Dice first; {report.evaluations[0].name}")
