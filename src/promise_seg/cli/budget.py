"""``promise budget``"""

from pathlib import Path
from typing import Annotated

from promise_seg.cli.common import (
    BARE,
    check_scoring_options,
    console,
    pick_device,
    print_notes,
    print_table,
    quiet_libraries,
    read_and_check,
    rows_of_split,
    stages_bar,
)
from promise_seg.cli.noting import note_seen_images, note_test_look
from promise_seg.cli.options import (
    SCORING,
    AxisOption,
    BareSizeOption,
    ClassOption,
    CropOption,
    DataArgument,
    DeviceOption,
    InstancesOption,
    ModelArgument,
    SamPlaceOption,
    SplitOption,
    StoreOption,
    ThresholdOption,
    WindowOption,
    option,
    output_option,
)
from promise_seg.vocabulary import SplitChoice


def budget(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for budget.json and budget.png.")],
    split: SplitOption = SplitChoice.VAL,
    sam: SamPlaceOption = None,
    image_size: BareSizeOption = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of draws and jitters.", panel=SCORING)] = 0,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    window: WindowOption = None,
    axis: AxisOption = None,
    crop_border: CropOption = None,
    label: ClassOption = None,
    instances: InstancesOption = False,
    mask_threshold: ThresholdOption = None,
) -> None:
    """Measure the prompt error budget: do prompts or the decoder limit the result, and how much does a bad click
    cost?"""
    from promise_seg.images.reading import make_reading

    check_scoring_options(run, label, image_size)
    rows = rows_of_split(data, split)
    quiet_libraries()
    from promise_seg.assessment.budget import prompt_budget
    from promise_seg.assessment.budget_plot import draw_budget
    from promise_seg.assessment.statistics import interval_words
    from promise_seg.checkpoint import load_checkpoint
    from promise_seg.features.store import FeatureStore
    from promise_seg.files import check_writable, write_json
    from promise_seg.model import bare_model
    from promise_seg.sam.loading import load_sam

    check_writable(output)
    place = pick_device(device)
    model = bare_model(load_sam(sam or "nano", place, image_size)) if run == BARE else load_checkpoint(run, sam, place)
    print_notes(model.sam)
    reading = make_reading(
        model.config.reading, window=window, axis=axis, crop_border=crop_border, label=label, instances=instances,
        mask_threshold=mask_threshold,
    )  # fmt: skip
    checked = read_and_check(rows, reading)
    with stages_bar() as progress:
        found = prompt_budget(model, checked, seed=seed, store=FeatureStore(store), progress=progress)
    groups = [row.row.group for row in checked]
    summary = [one.summary(groups, seed) for one in found]
    title = f"{run}, {len(checked)} {split} images"
    lines = [
        (
            one["prompts"],
            "yes" if one["reads_the_ground_truth"] else "no",
            f"{one['dice']:.4f}",
            interval_words(one["interval"]),
            str(one["draws"]),
            "" if one["spread_of_draws"] is None else f"{one['spread_of_draws']:.4f}",
        )
        for one in summary
    ]
    head = ("prompts", "from the truth", "Dice", f"95 %, over {len(set(groups))} groups", "draws", "spread of draws")
    print_table(head, lines, title)
    facts: dict[str, object] = {
        "model": run, "model_sha256": model.sha256(), "sam": model.sam.name, "data": str(data), "split": split,
        "seed": seed, "images": len(checked),
    }  # fmt: skip
    if looks := note_test_look(run, model, checked, {"prompts": "budget"}):
        facts["test_looks"] = looks.model_dump()
    if seen := note_seen_images(run, checked):
        facts["seen_in_training"] = seen.model_dump()
    write_json(output / "budget.json", facts | {"budget": summary})
    draw_budget(summary, title, output / "budget.png")
    console.print(f"written: {output / 'budget.json'}, {output / 'budget.png'}")
