"""``promise evaluate``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.common import (
    BARE,
    check_scoring_options,
    console,
    pick_device,
    print_deviations,
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
    ByOption,
    ClassOption,
    CropOption,
    DataArgument,
    DeviceOption,
    InstancesOption,
    ModelArgument,
    PromptsOption,
    SamPlaceOption,
    ScoringProtocolOption,
    SplitOption,
    StoreOption,
    ThresholdOption,
    ToleranceOption,
    WindowOption,
    choice,
    option,
    output_option,
)
from promise_seg.cli.trust import print_quality
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol, SplitChoice

if TYPE_CHECKING:
    from promise_seg.assessment.evaluation import Assessment
    from promise_seg.assessment.summary import EvaluationSummary
    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.model import PromiseModel
    from promise_seg.trust.judging import TrustModel


def evaluate(
    run: ModelArgument,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder for scores_*.csv and summary_*.json.")],
    split: SplitOption = SplitChoice.TEST,
    prompts: PromptsOption = PromptSource.APM,
    points: Annotated[
        int, option("--points", min=1, about="How many oracle points, half of them background.", panel=SCORING)
    ] = 16,
    mask: Annotated[
        MaskChoice | None,
        choice(MaskChoice, about="Which of SAM's masks counts; default as chosen in training", panel=SCORING),
    ] = None,
    protocol: ScoringProtocolOption = Protocol.OWN,
    sam: SamPlaceOption = None,
    image_size: BareSizeOption = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of the oracle points.", panel=SCORING)] = 0,
    tolerance: ToleranceOption = "2px",
    by: ByOption = None,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    window: WindowOption = None,
    axis: AxisOption = None,
    crop_border: CropOption = None,
    label: ClassOption = None,
    instances: InstancesOption = False,
    mask_threshold: ThresholdOption = None,
) -> None:
    """Score a model against the ground truth, at each image's own size. Files are read as in training."""
    from promise_seg.class_sets import class_folder, is_class_set, read_class_set
    from promise_seg.images.reading import ALL_CLASSES, Reading, make_reading

    check_scoring_options(run, label, image_size)
    rows = rows_of_split(data, split)
    quiet_libraries()

    from promise_seg.assessment.evaluation import Assessment
    from promise_seg.assessment.measuring import parse_tolerance
    from promise_seg.assessment.strata import SIZE, check_columns
    from promise_seg.checkpoint import load_checkpoint
    from promise_seg.inference.prompting import check_prompts
    from promise_seg.model import bare_model
    from promise_seg.protocol import evaluation_deviations
    from promise_seg.sam.loading import load_sam
    from promise_seg.vocabulary import Fit

    check_columns(by or (), rows)
    print_deviations(evaluation_deviations(protocol))
    place = pick_device(device)
    assessment = Assessment(
        prompts=prompts, num_points=points, seed=seed, protocol=protocol,
        mask_choice=mask, tolerance=parse_tolerance(tolerance),
    )  # fmt: skip
    several = run != BARE and is_class_set(run)
    if several and (label is not None or instances):
        raise SettingsError(
            f"{run}: has a model for each class; leave --class and --instances out, or name one of them"
        )
    runs = [str(class_folder(Path(run), number)) for number in read_class_set(run)] if several else [run]
    checked: list[CheckedRow] = []
    model: PromiseModel | None = None
    for one in runs:
        if one == BARE:
            by_reference = protocol == Protocol.REFERENCE
            sam_alone = load_sam(sam or "nano", place, image_size)
            fit = Fit.SQUARE if by_reference else Fit.STRETCH
            model = bare_model(sam_alone, fit, Reading(crop_border=by_reference))
        else:
            model = load_checkpoint(one, model.sam if model is not None else sam, place)
        check_prompts(model, assessment.prompts)
        if not checked:
            print_notes(model.sam)
            reading = make_reading(
                model.config.reading, window=window, axis=axis, crop_border=crop_border,
                label=ALL_CLASSES if several else label, instances=instances, mask_threshold=mask_threshold,
            )  # fmt: skip
            checked = read_and_check(rows, reading)
        scored = checked
        number = model.config.reading.label
        if several and number is not None:
            scored = [row.of_class(number) for row in checked]
            if not any(row.foreground_pixels for row in scored):
                console.print(f"class {number}: no {split} mask holds it; only false alarms are scored")
        facts = {"data": str(data), "split": split}
        place_of = output / Path(one).name if several else output
        _evaluate_one(one, model, scored, assessment, facts, place_of, store, [SIZE, *(by or ())])


def _evaluate_one(
    run: str,
    model: "PromiseModel",
    checked: "list[CheckedRow]",
    assessment: "Assessment",
    facts: dict[str, str],
    output: Path,
    store: Path | None,
    by: list[str],
) -> None:
    """Score one model and its trust scores, log peeks at test rows, and write the results."""
    from promise_seg.assessment.evaluation import evaluate as score
    from promise_seg.assessment.measuring import spacing_for
    from promise_seg.assessment.report import subject_of, summarise, write_results
    from promise_seg.features.store import FeatureStore
    from promise_seg.files import check_writable
    from promise_seg.progress import Stage
    from promise_seg.trust.judging import FLATTERING, judge_results, with_trust

    for row in checked:
        spacing_for(row, assessment.tolerance.unit)  # refused before any work
    check_writable(output)
    trust = _find_trust(run, model, assessment)
    with stages_bar() as progress:
        count = Stage(progress, "evaluating", len(checked), assessment.prompts.heading)
        results = score(model, checked, assessment, store=FeatureStore(store), progress=count)
    quality = None
    if trust is not None:
        with stages_bar() as progress:
            results, quality = judge_results(model, trust, results, FeatureStore(store), progress)
    subject = subject_of(model, run, assessment, checked[0].reading, **facts)
    summary = summarise(results, assessment, subject, by)
    if trust is not None and quality is not None:
        summary = with_trust(summary, trust, quality, results)
    noted = {name: getattr(summary, name) for name in ("prompts", "protocol", "postprocessing", "mask_choice")}
    looks = note_test_look(run, model, checked, noted | {"dice": summary.mean["dice"]})
    summary = summary.with_notes(test_looks=looks, seen_in_training=note_seen_images(run, checked))
    files = write_results(output, results, summary)
    _print_summary(f"{run}, {len(results)} {facts['split']} images, {assessment.prompts.heading}", summary)
    if quality is not None:
        print_quality(quality, f"trust, on {facts['split']}")
        if summary.trust_calibrated_on_these_rows:
            console.print(f"note: {FLATTERING}", markup=False)
    console.print(f"written: {files[0]}, {files[1]}")


def _find_trust(run: str, model: "PromiseModel", assessment: "Assessment") -> "TrustModel | None":
    """Return the calibration of a trained model if its own masks are scored; print a note if there is none.

    Raises:
        CheckpointError: if its file is damaged.
    """
    from promise_seg.checkpoint import find_checkpoint, is_reference_file
    from promise_seg.trust.trust_file import find_trust

    if assessment.prompts != PromptSource.APM or is_reference_file(run):
        return None
    found = find_trust(find_checkpoint(run), model)
    note = found.note
    if found.trust is not None and assessment.protocol != Protocol.OWN:
        note = "no trust scores: they are of masks by our own protocol"
    elif found.trust is not None and assessment.choice_for(model) != model.config.mask_choice:
        note = f"no trust scores: they are of the mask {model.config.mask_choice} that the model chose"
    if note:
        console.print(f"note: {note}", markup=False)
        return None
    return found.trust


def _print_summary(title: str, summary: "EvaluationSummary") -> None:
    """Print means with intervals, then Dice by strata."""
    from promise_seg.assessment.statistics import interval_words

    rows = [(name, f"{value:.4f}", interval_words(summary.interval[name])) for name, value in summary.mean.items()]
    if summary.objects is not None:
        rows.append((f"Dice of {summary.objects} objects", f"{summary.object_dice:.4f}", ""))
    print_table(("measure", "mean", f"95 %, over {summary.groups} groups"), rows, title)
    for by, found in summary.strata.items():
        lines = [
            (name, str(one.images), f"{one.dice:.4f}", interval_words(one.dice_interval)) for name, one in found.items()
        ]
        print_table((f"by {by}", "images", "Dice", "95 %"), lines)
    empty, silent = summary.images_with_empty_truth, summary.images_with_empty_prediction
    if empty or silent:
        console.print(
            f"{empty} image(s) have an empty ground truth, {silent} an empty prediction: see docs/measuring.md"
        )
