"""The section with the scores of whole volumes."""

from promise_seg.assessment.measures import heading_of, lower_is_better
from promise_seg.assessment.measuring import Unit
from promise_seg.assessment.statistics import interval_words
from promise_seg.reporting.blocks import Block, Section, Table, Text
from promise_seg.reporting.document import Evaluation


def volumes_section(evaluations: tuple[Evaluation, ...]) -> Section:
    """Return the section with means over whole volumes, of evaluations of which the first has some."""
    scored = [(one.name, one.volumes) for one in evaluations if one.volumes is not None]
    head = ["measure", "better"]
    for name, _ in scored:
        head += [name, "95 %", "mean of groups"]
    rows = []
    for measure in scored[0][1].mean:
        cells = [heading_of(measure, Unit.MILLIMETRES), "lower" if lower_is_better(measure) else "higher"]
        for _, found in scored:
            cells += [f"{found.mean[measure]:.3f}", interval_words(found.interval[measure])]
            cells.append(f"{found.mean_of_groups[measure]:.3f}")
        rows.append(tuple(cells))
    main = scored[0][1]
    caption = (
        f"Means over {main.volumes} volumes, weighted equally; 95 % intervals over {main.groups} groups. Distances are "
        f"in mm; tolerance of surface Dice: {main.tolerance}."
    )
    blocks: list[Block] = [Table(tuple(head), tuple(rows), caption)]
    if main.volumes_without_distances:
        blocks.append(
            Text(
                f"{main.volumes_without_distances} of them do not say how far their slices are apart: distances and "
                "surface Dice are those of the others.",
                "note",
            )
        )
    blocks.append(
        Text(
            f"Empty ground truth: {main.slices_with_empty_truth} of {main.slices} slices, "
            f"{main.volumes_with_empty_truth} of {main.volumes} volumes. The rule: {main.rule_for_nothing}.",
            "note",
        )
    )
    return Section("Whole volumes", tuple(blocks))
