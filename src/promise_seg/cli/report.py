"""``promise report``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import (
    BARE,
    check_scoring_options,
    console,
    pick_device,
    print_notes,
    quiet_libraries,
    read_and_check,
    rows_of_split,
    stages_bar,
)
from promise_seg.cli.noting import note_seen_images, note_test_look
from promise_seg.cli.options import (
    OUTPUT,
    SCORING,
    AxisOption,
    BareSizeOption,
    ByOption,
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
    ToleranceOption,
    WindowOption,
    choice,
    option,
    output_option,
)
from promise_seg.vocabulary import PromptSource, SplitChoice


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from promise_seg.reporting.document import schema

        print(json.dumps(schema(), indent=2, sort_keys=True))
        raise typer.Exit


def report(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for report.html and report.json.")],
    split: SplitOption = SplitChoice.TEST,
    prompts: Annotated[
        list[PromptSource] | None,
        choice(PromptSource, about="Once or more; default: own and oracle points. One", panel=SCORING),
    ] = None,
    by: ByOption = None,
    tolerance: ToleranceOption = "2px",
    budget: Annotated[
        bool, option("--budget/--no-budget", about="Measure the prompt error budget.", panel=OUTPUT)
    ] = True,
    images: Annotated[
        bool, option("--images/--no-images", about="Draw the worst cases into the page.", panel=OUTPUT)
    ] = True,
    worst: Annotated[int, option("--worst", min=0, about="How many worst cases to show.", panel=OUTPUT)] = 12,
    sam: SamPlaceOption = None,
    image_size: BareSizeOption = None,
    seed: Annotated[
        int, option("--seed", min=0, about="Seed of oracle points, draws and intervals.", panel=SCORING)
    ] = 0,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    window: WindowOption = None,
    axis: AxisOption = None,
    crop_border: CropOption = None,
    label: ClassOption = None,
    instances: InstancesOption = False,
    mask_threshold: ThresholdOption = None,
    schema: Annotated[
        bool,
        option(
            "--schema", callback=_print_schema, is_eager=True, about="Print the schema of report.json.", panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Write a report on a model as one HTML file and as JSON: scores, worst cases, and how to reproduce it."""
    check_scoring_options(run, label, image_size)
    rows = rows_of_split(data, split)
    quiet_libraries()

    from promise_seg.assessment.measuring import parse_tolerance
    from promise_seg.assessment.strata import check_columns
    from promise_seg.checkpoint import load_checkpoint
    from promise_seg.features.store import FeatureStore
    from promise_seg.files import check_writable, write_text
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.model import bare_model
    from promise_seg.reporting.collecting import collect
    from promise_seg.reporting.gallery import worst_cases
    from promise_seg.reporting.page import render_page
    from promise_seg.reporting.plan import Plan, pick_prompts
    from promise_seg.reporting.sections import report_sections
    from promise_seg.sam.loading import load_sam

    wanted = parse_tolerance(tolerance)
    check_columns(by or (), rows)
    place = pick_device(device)
    is_bare = run == BARE
    model = bare_model(load_sam(sam or "nano", place, image_size)) if is_bare else load_checkpoint(run, sam, place)
    options = ReadingOptions(
        window=window, axis=axis, crop_border=crop_border, label=label, instances=instances,
        mask_threshold=mask_threshold,
    )  # fmt: skip
    plan = Plan(
        run=run, data=str(data), output=str(output), prompts=pick_prompts(prompts or (), model), is_bare=is_bare,
        split=split, by=tuple(by or ()), tolerance=wanted, seed=seed, budget=budget, images=images, worst=worst,
        sam=sam, image_size=image_size, reading=options,
    )  # fmt: skip
    check_writable(output)
    print_notes(model.sam)
    checked = read_and_check(rows, options.applied_to(model.config.reading))
    features = FeatureStore(store)
    with stages_bar() as progress:
        found = collect(
            model, checked, plan, store=features, progress=progress,
            note_look=lambda facts: note_test_look(run, model, checked, facts),
            note_seen=lambda: note_seen_images(run, checked),
        )  # fmt: skip
    shown = worst_cases(model, found.worst, found.report.worst, found.assessment, features) if images else None
    main = found.report.evaluations[0]
    subtitle = f"{main.images_words} of {data}, {found.report.made_at:%Y-%m-%d %H:%M} UTC"
    page = render_page(found.report.title, subtitle, report_sections(found.report, shown))
    write_text(output / "report.json", found.report.model_dump_json(indent=2) + "\n")
    write_text(output / "report.html", page)
    for evaluation in found.report.evaluations:
        console.print(f"Dice {evaluation.mean['dice']:.4f} with {evaluation.name}", markup=False)
    console.print(f"written: {output / 'report.html'}, {output / 'report.json'}", markup=False)
