"""``promise budget``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.common import (
    check_one_class,
    console,
    each_of,
    print_lines,
    print_notes,
    print_table,
    quiet_libraries,
    read_data,
    rows_of_split,
    stages_bar,
)
from promise_seg.cli.options import (
    SCORING,
    BareSizeOption,
    DataArgument,
    DeviceOption,
    ModelArgument,
    SamPlaceOption,
    SplitOption,
    StoreOption,
    option,
    output_option,
)
from promise_seg.cli.reading_options import with_reading
from promise_seg.vocabulary import SplitChoice

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.workflows.budget import PromptBudget


@with_reading()
def budget(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for budget.json and budget.png.")],
    reading: "ReadingOptions",
    split: SplitOption = SplitChoice.VAL,
    sam: SamPlaceOption = None,
    image_size: BareSizeOption = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of draws and jitters.", panel=SCORING)] = 0,
    device: DeviceOption = "auto",
    store: StoreOption = None,
) -> None:
    """Measure the prompt error budget: do prompts or the decoder limit the result, and how much does a bad click
    cost?"""
    check_one_class(reading.label)
    rows_of_split(data, split)
    quiet_libraries()
    from promise_seg.workflows import budget as measuring
    from promise_seg.workflows.models import open_models

    model = open_models(run, sam=sam, device=device, image_size=image_size)
    print_notes(model.sam)
    rows = read_data(data, reading, model.reading, split=split)
    with stages_bar() as progress:
        found = measuring.budget(model, rows, output=output, split=split, seed=seed, store=store, progress=progress)
    for one in each_of(found):
        _print(one)


def _print(found: "PromptBudget") -> None:
    from promise_seg.assessment.statistics import interval_words

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
    head = ("prompts", "from the truth", "Dice", f"95 %, over {groups} groups", "draws", "spread of draws")
    print_table(head, lines, found.title)
    print_lines(found.notes)
    console.print(f"written: {', '.join(map(str, found.files))}", markup=False)
