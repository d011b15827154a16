"""``promise compare``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console, print_table
from promise_seg.cli.options import SCORING, choice, option, output_option
from promise_seg.vocabulary import PromptSource


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUNS...", help="Output folders of promise evaluate, or scores_*.csv in them."),
    ],
    measure: Annotated[
        list[str] | None,
        option("--measure", metavar="MEASURE", about="What to compare; default dice and iou.", panel=SCORING),
    ] = None,
    prompts: Annotated[
        PromptSource | None, choice(PromptSource, about="Which of a folder's evaluations", panel=SCORING)
    ] = None,
    output: Annotated[Path | None, output_option("Write it to this JSON file too.")] = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of the intervals.", panel=SCORING)] = 0,
) -> None:
    """Compare evaluations of the same images: paired differences with confidence intervals and p-values."""
    from promise_seg.assessment.comparing import compare as compare_runs
    from promise_seg.assessment.comparing import read_scored
    from promise_seg.assessment.statistics import interval_words
    from promise_seg.files import write_json

    scored = [read_scored(run, prompts) for run in runs]
    found = compare_runs(scored, measure or ["dice", "iou"], seed)
    images, groups = len(scored[0].images), len(set(scored[0].groups.values()))
    rows = [
        (
            one.first,
            one.second,
            one.measure,
            f"{one.first_mean:.4f}",
            f"{one.second_mean:.4f}",
            f"{one.difference.interval.mean:+.4f}",
            interval_words(one.difference.interval),
            f"{one.difference.p_value:.2g}",
            f"{one.p_holm:.2g}",
        )
        for one in found
    ]
    head = ("first", "second", "measure", "mean", "mean", "difference", "95 %", "p (Wilcoxon)", "p (Holm)")
    print_table(head, rows, f"{images} images in {groups} groups; groups are what is drawn and tested")
    if len({run.summary.prompts_read_the_ground_truth for run in scored}) > 1:
        console.print("warning: some of these prompts were made from the ground truth, others not")
    if groups < 6:
        console.print(f"warning: {groups} groups are too few for Wilcoxon's test to find anything")
    if output is not None:
        write_json(output, [one.as_json() for one in found])
        console.print(f"written: {output}")
