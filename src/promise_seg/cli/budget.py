"""The command ``promise budget``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.common import each_of, open_to_score, print_line, print_lines, print_table, stages_bar
from promise_seg.cli.groups import OPENING, Values, with_groups
from promise_seg.cli.options import (
    SCORING,
    DataArgument,
    ModelArgument,
    SplitOption,
    StoreOption,
    option,
    output_option,
)
from promise_seg.cli.reading_options import READING
from promise_seg.quantities import count_in_words
from promise_seg.vocabulary import SplitChoice

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.workflows.budget import PromptBudget


@with_groups(reading=READING, opening=OPENING.only("sam", "image_size", "device"))
def budget(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for budget.json and budget.png.")],
    reading: "ReadingOptions",
    *,
    split: SplitOption = SplitChoice.VAL,
    seed: Annotated[int, option("--seed", min=0, about="Seed of draws and jitters.", panel=SCORING)] = 0,
    opening: Values,
    store: StoreOption = None,
) -> None:
    """Measure the prompt error budget: whether the prompts or the decoder limit the result, and how much Dice an
    inaccurate click costs."""
    from promise_seg.workflows import budget as measuring

    model, rows = open_to_score(run, data, reading, split, opening, output=output, store=store)
    with stages_bar() as progress:
        found = measuring.budget(model, rows, output=output, split=split, seed=seed, store=store, progress=progress)
    for one in each_of(found):
        _print(one)


def _print(found: "PromptBudget") -> None:
    from promise_seg.assessment.statistics import interval_heading, interval_words

    lines = [
        (
            one["prompts"],
            "yes" if one["reads_the_ground_truth"] else "no",
            f"{one['dice']:.4f}",
            interval_words(one["interval"]),
            str(one["draws"]),
            "" if one["spread_of_draws"] is None else f"{one['spread_of_draws']:.4f}",
        )
        for one in found.records()
    ]
    groups = len(set(found.groups))
    head = (
        "prompts",
        "from ground truth",
        "Dice",
        f"{interval_heading([groups])}, over {count_in_words(groups, 'group')}",
        "draws",
        "spread of draws",
    )
    print_table(head, lines, found.title)
    print_lines(found.notes)
    print_line(f"written: {', '.join(map(str, found.files))}")
