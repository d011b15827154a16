"""The section with the scores of volumes."""

from promise_seg.assessment.measures import heading_of
from promise_seg.assessment.measuring import Unit
from promise_seg.assessment.statistics import few_groups_note, interval_heading, interval_words
from promise_seg.assessment.summary import VolumeSummary
from promise_seg.quantities import count_in_words
from promise_seg.reporting.blocks import Block, Section, Table, Text
from promise_seg.reporting.document import ReportedEvaluation


def volumes_section(evaluations: tuple[ReportedEvaluation, ...]) -> Section:
    """Return the section with means over volumes; at least one evaluation must have volumes."""
    scored = [(one.name, one.volumes) for one in evaluations if one.volumes is not None]
    main = scored[0][1]
    head = ("measure", "prompts", "mean", interval_heading([main.groups]), "median", "mean of groups")
    rows = tuple(
        (
            heading_of(measure, Unit.MILLIMETRES),
            name,
            f"{found.mean[measure]:.3f}",
            interval_words(found.interval[measure]),
            f"{found.median[measure]:.3f}",
            f"{found.mean_of_groups[measure]:.3f}",
        )
        for measure in main.mean
        for name, found in scored
    )
    caption = (
        f"Means over {main.volumes_words}, volumes weighted equally; intervals over "
        f"{count_in_words(main.groups, 'group')}; for the mean of groups these are weighted equally. Distances are in "
        f"mm. Tolerance of surface Dice: {main.tolerance}."
    )
    silent = ", ".join(f"{found.volumes_with_empty_prediction} with {name}" for name, found in scored)
    nothing = Text(
        f"Empty ground truth: {main.volumes_with_empty_truth} of {main.volumes} volumes, "
        f"{main.slices_with_empty_truth} of {main.slices} slices. Empty prediction: {silent}."
    )
    rule = Text(f"Empty masks: {main.rule_for_nothing}.", "note")
    return Section("Volumes", (Table(head, rows, caption), nothing, *_limits(main), rule))


def _limits(main: VolumeSummary) -> list[Block]:
    """Return notes about few groups, and about volumes that are incomplete or have no distances."""
    found: list[Block] = []
    if (few := few_groups_note(main.groups)) is not None:
        found.append(Text(f"The volumes form {count_in_words(main.groups, 'group')}: {few}.", "note"))
    if main.parts:
        found.append(
            Text(
                f"{main.parts} of {main.volumes} volumes are scored in part: not all of their slices are rows.",
                "note",
            )
        )
    if main.volumes_without_distances:
        found.append(
            Text(
                f"{main.volumes_without_distances} of {main.volumes} volumes do not say where their slices lie, or are "
                "tilted or not evenly stacked: distances and surface Dice are those of the others.",
                "note",
            )
        )
    return found
