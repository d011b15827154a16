"""The command ``promise compare``."""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import print_line, print_lines, print_table
from promise_seg.cli.options import SCORING, choice, option, output_option
from promise_seg.quantities import count_in_words
from promise_seg.vocabulary import PromptSource


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUNS...", help="Output folders of promise evaluate, or scores_*.csv in them."),
    ],
    measure: Annotated[
        list[str] | None,
        option("--measure", metavar="MEASURE", about="Measures to compare; default: dice and iou.", panel=SCORING),
    ] = None,
    prompts: Annotated[
        PromptSource | None, choice(PromptSource, about="Which of a folder's evaluations", panel=SCORING)
    ] = None,
    output: Annotated[Path | None, output_option("Also write the comparison to this JSON file.")] = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of the intervals.", panel=SCORING)] = 0,
) -> None:
    """Compare evaluations of the same images, and print paired differences with confidence intervals and p-values."""
    from promise_seg.assessment.comparing import VOLUMES
    from promise_seg.assessment.measures import name_with_unit
    from promise_seg.assessment.statistics import interval_heading, marked_words
    from promise_seg.workflows import comparing

    found = comparing.compare(runs, measure=measure or ("dice", "iou"), prompts=prompts, output=output, seed=seed)
    rows = [
        (
            one.first,
            one.second,
            *([one.of] if found.volumes else []),
            name_with_unit(one.measure, "mm") if one.of == VOLUMES else one.measure,
            f"{one.first_mean:.4f}",
            f"{one.second_mean:.4f}",
            f"{one.difference.interval.mean:+.4f}",
            marked_words(one.difference.interval),
            f"{one.difference.mean_of_groups:+.4f}",
            f"{one.difference.p_value:.2g}",
            f"{one.p_holm:.2g}",
        )
        for one in found.pairs
    ]
    of = ["of"] if found.volumes else []
    heading = interval_heading(one.difference.interval.groups or 0 for one in found.pairs)
    head = (
        "first", "second", *of, "measure", "mean of first", "mean of second", "difference", heading, "mean of groups",
        "p (Wilcoxon)", "p (Holm)",
    )  # fmt: skip
    count, groups = count_in_words(found.images, "image"), count_in_words(found.groups, "group")
    if found.volumes:
        count += f" and {count_in_words(found.volumes, 'volume')}"
    print_table(head, rows, f"{count} in {groups}; groups are resampled and tested")
    print_lines(found.notes, "warning")
    if output is not None:
        print_line(f"written: {output}")
