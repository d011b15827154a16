"""``promise report``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import (
    BARE,
    AxisOption,
    BareSizeOption,
    ClassOption,
    CropOption,
    DeviceOption,
    InstancesOption,
    StoreOption,
    ThresholdOption,
    WindowOption,
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


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from promise_seg.reporting.document import schema

        print(json.dumps(schema(), indent=2, sort_keys=True))
        raise typer.Exit


def report(
    run: Annotated[str, typer.Argument(help="Output folder of promise train, a checkpoint, or bare for SAM alone.")],
    data: Annotated[Path, typer.Argument(help="CSV with the columns image_name,train_type,mask_name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for report.html and report.json.")],
    split: Annotated[str, typer.Option(help="test, val, train or all.")] = "test",
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompts", help="apm (own), oracle, box or none, several by repeating; default: own and oracle points."
        ),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Means by a column of the manifest too, beside those by size.")
    ] = None,
    tolerance: Annotated[
        str, typer.Option(help="Of the surface Dice, and the unit of distances: 2px, or 1.5mm.")
    ] = "2px",
    budget: Annotated[bool, typer.Option("--budget/--no-budget", help="Measure the prompt error budget.")] = True,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Draw the worst cases into the page.")] = True,
    worst: Annotated[int, typer.Option(min=0, help="How many worst cases to show.")] = 12,
    sam: Annotated[str | None, typer.Option("--sam", help="Where the SAM is, if not where training found it.")] = None,
    image_size: BareSizeOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the oracle points, draws and intervals.")] = 0,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    window: WindowOption = None,
    axis: AxisOption = None,
    crop_border: CropOption = None,
    label: ClassOption = None,
    instances: InstancesOption = False,
    mask_threshold: ThresholdOption = None,
    schema: Annotated[
        bool, typer.Option("--schema", callback=_print_schema, is_eager=True, help="Print the schema of report.json.")
    ] = False,
) -> None:
    """All about a model in one HTML file, and the same as JSON: scores, worst cases, and how to have it again."""
    check_scoring_options(run, label, image_size)
    rows = rows_of_split(data, split)
    quiet_libraries()

    from promise_seg.assessment.measuring import parse_tolerance
    from promise_seg.assessment.strata import check_columns
    from promise_seg.checkpoint import load_checkpoint
    from promise_seg.features.store import FeatureStore
    from promise_seg.files import check_writable, write_text
    from promise_seg.images.reading import make_reading
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
    plan = Plan(
        run=run, data=str(data), output=str(output), prompts=pick_prompts(prompts or (), model), is_bare=is_bare,
        split=split, by=tuple(by or ()), tolerance=wanted, seed=seed, budget=budget, images=images, worst=worst,
        sam=sam, image_size=image_size, window=window, axis=axis, crop_border=crop_border, label=label,
        instances=instances, mask_threshold=mask_threshold,
    )  # fmt: skip
    check_writable(output)
    print_notes(model.sam)
    reading = make_reading(
        model.config.reading, window=window, axis=axis, crop_border=crop_border, label=label, instances=instances,
        mask_threshold=mask_threshold,
    )  # fmt: skip
    checked = read_and_check(rows, reading)
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
