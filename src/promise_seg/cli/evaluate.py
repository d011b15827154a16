"""The command ``promise evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.bounds import MOST_POINTS
from promise_seg.cli.common import (
    each_of,
    open_to_score,
    print_deviations,
    print_line,
    print_lines,
    print_table,
    print_unfinished,
    stages_bar,
)
from promise_seg.cli.early_checks import paths_first
from promise_seg.cli.groups import OPENING, Values, with_groups
from promise_seg.cli.options import (
    SCORING,
    ByOption,
    DataArgument,
    ModelArgument,
    PromptsOption,
    ScoringProtocolOption,
    SlicesOption,
    SplitOption,
    StoreOption,
    ToleranceOption,
    choice,
    option,
    output_option,
)
from promise_seg.cli.reading_options import READING
from promise_seg.cli.trust import print_quality
from promise_seg.quantities import count_in_words, images_in_words
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol, Slices, SplitChoice

if TYPE_CHECKING:
    from promise_seg.assessment.summary import EvaluationSummary
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.workflows.evaluation_result import Evaluation


@paths_first
@with_groups(reading=READING, opening=OPENING)
def evaluate(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for scores_*.csv, summary_*.json and volumes_*.csv.")],
    reading: "ReadingOptions",
    *,
    split: SplitOption = SplitChoice.TEST,
    prompts: PromptsOption = PromptSource.APM,
    points: Annotated[
        int | None,
        option(
            "--points",
            min=1,
            max=MOST_POINTS,
            about="How many oracle points, half of them background; 16 by default.",
            panel=SCORING,
        ),
    ] = None,
    mask: Annotated[
        MaskChoice | None,
        choice(MaskChoice, about="Which of SAM's masks to score; by default as chosen in training", panel=SCORING),
    ] = None,
    protocol: ScoringProtocolOption = Protocol.OWN,
    seed: Annotated[int, option("--seed", min=0, about="Seed of the oracle points.", panel=SCORING)] = 0,
    tolerance: ToleranceOption = "2px",
    by: ByOption = None,
    slices: SlicesOption = Slices.AUTO,
    opening: Values,
    store: StoreOption = None,
) -> None:
    """Score a model against the ground truth, at the original size of each image. Files are read as in training unless
    options say otherwise."""
    from promise_seg.assessment.measuring import parse_tolerance
    from promise_seg.protocol import evaluation_deviations
    from promise_seg.workflows import evaluation as scoring

    print_deviations(evaluation_deviations(protocol))
    scoring.check_points_and_slices(prompts, points, slices, protocol)
    parse_tolerance(tolerance)
    model, rows = open_to_score(
        run, data, reading, split, opening, output=output, store=store, prompts=[prompts], by=by or (),
        protocol=protocol,
    )  # fmt: skip
    print_unfinished(run)
    with stages_bar() as progress:
        found = scoring.evaluate(
            model, rows, output=output, split=split, prompts=prompts, points=points, mask=mask, slices=slices,
            protocol=protocol, seed=seed, tolerance=tolerance, by=by or (), store=store, progress=progress,
        )  # fmt: skip
    for one in each_of(found):
        _print(one)


def _print(found: "Evaluation") -> None:
    """Print notes, means with intervals, scores of volumes, Dice by strata, and the quality of the trust scores."""
    from promise_seg.assessment.measuring import parse_tolerance
    from promise_seg.assessment.statistics import interval_heading, interval_words, marked_words
    from promise_seg.workflows.evaluation_result import measure_words, measures_in_order

    summary = found.summary
    print_lines(found.notes)
    unit = parse_tolerance(summary.tolerance).unit
    rows = [
        (measure_words(name, unit), f"{summary.mean[name]:.4f}", interval_words(summary.interval[name]))
        for name in measures_in_order(summary.mean)
    ]
    if summary.objects is not None:
        rows.insert(0, (f"Dice of {summary.objects} objects", f"{summary.object_dice:.4f}", ""))
    title = f"{found.name}, {images_in_words(summary.images, summary.split)}, {summary.prompts_meaning}"
    heading = f"{interval_heading([summary.groups])}, over {count_in_words(summary.groups, 'group')}"
    print_table(("measure", "mean", heading), rows, title)
    _print_volumes(summary)
    for by, strata in summary.strata.items():
        lines = [
            (name, str(one.images), f"{one.dice:.4f}", marked_words(one.dice_interval, one.groups))
            for name, one in strata.items()
        ]
        heading = interval_heading(one.groups for one in strata.values())
        print_table((f"by {by}", "images", "Dice", heading), lines)
    empty, silent = summary.images_with_empty_truth, summary.images_with_empty_prediction
    if empty or silent:
        print_line(f"{empty} image(s) have an empty ground truth, {silent} an empty prediction: see docs/measuring.md")
    if summary.trust is not None:
        print_quality(summary.trust, f"trust, on {summary.split}")
    print_line(f"written: {', '.join(map(str, found.files))}")


def _print_volumes(summary: "EvaluationSummary") -> None:
    """Print the means over volumes, if the images are slices of volumes."""
    from promise_seg.assessment.measures import name_with_unit
    from promise_seg.assessment.statistics import interval_heading, interval_words

    found = summary.volumes
    if found is None:
        return
    rows = [
        (
            name_with_unit(name, "mm"),
            f"{value:.4f}",
            interval_words(found.interval[name]),
            f"{found.median[name]:.4f}",
            f"{found.mean_of_groups[name]:.4f}",
        )
        for name, value in found.mean.items()
    ]
    title = f"{found.volumes_words}; tolerance of surface Dice: {found.tolerance}"
    head = (
        "measure of volumes",
        "mean",
        f"{interval_heading([found.groups])}, over {count_in_words(found.groups, 'group')}",
        "median",
        "mean of groups",
    )
    print_table(head, rows, title)
