"""``promise train``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import (
    console,
    pick_device,
    print_deviations,
    print_notes,
    quiet_libraries,
    read_and_check,
    stages_bar,
)
from promise_seg.cli.options import (
    COMPUTING,
    DATA,
    MODEL,
    TRAINING,
    AxisOption,
    ClassOption,
    CropOption,
    DataArgument,
    DeviceOption,
    ImageSizeOption,
    InstancesOption,
    ProtocolOption,
    SamOption,
    StoreOption,
    ThresholdOption,
    WindowOption,
    choice,
    option,
    output_option,
)
from promise_seg.cli.trust import print_learned
from promise_seg.dataset.manifest import DEFAULT_VAL_SHARE
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import ApmKind, Fit, Optimizer, Precision, Protocol, Recipe, TrainableVariant, TrainAlso

if TYPE_CHECKING:
    from accelerate import Accelerator

    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.learning.run_note import DataOrigin
    from promise_seg.learning.settings import TrainSettings
    from promise_seg.sam.backbone import Backbone


def train(
    context: typer.Context,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder of the run; an unfinished run there goes on.")],
    variant: Annotated[
        TrainableVariant, choice(TrainableVariant, about="Which parts are trained", panel=MODEL)
    ] = TrainableVariant.APM_IPS,
    apm: Annotated[
        ApmKind, choice(ApmKind, about="The auto-prompter: ours, or one of the paper's", panel=MODEL)
    ] = ApmKind.HEATMAP,
    points: Annotated[int, option("--points", min=1, about="How many points the APM proposes.", panel=MODEL)] = 16,
    foreground: Annotated[
        int, option("--foreground", min=0, about="How many of them are foreground.", panel=MODEL)
    ] = 8,
    sam: SamOption = "nano",
    image_size: ImageSizeOption = None,
    train_also: Annotated[
        TrainAlso, choice(TrainAlso, about="Parts of SAM to train as well", panel=MODEL)
    ] = TrainAlso.NONE,
    fit: Annotated[
        Fit, choice(Fit, about="How images become squares; pad is SAM's way, square pads on both sides", panel=MODEL)
    ] = Fit.STRETCH,
    epochs: Annotated[int, option("--epochs", min=1, about="Passes over the train rows.", panel=TRAINING)] = 40,
    batch_size: Annotated[int, option("--batch-size", min=1, about="Images in a step.", panel=TRAINING)] = 16,
    learning_rate: Annotated[
        float, option("--learning-rate", about="The highest learning rate.", panel=TRAINING)
    ] = 5e-4,
    weight_decay: Annotated[
        float, option("--weight-decay", about="The weight decay of the optimizer.", panel=TRAINING)
    ] = 0.01,
    optimizer: Annotated[
        Optimizer, choice(Optimizer, about="What changes the weights", panel=TRAINING)
    ] = Optimizer.ADAMW,
    point_weight: Annotated[
        float, option("--point-weight", about="Weight of the loss on the points' positions.", panel=TRAINING)
    ] = 1.0,
    saliency_weight: Annotated[
        float, option("--saliency-weight", about="Weight of the loss on the heatmap APM's saliency.", panel=TRAINING)
    ] = 1.0,
    views: Annotated[
        int,
        option(
            "--views",
            min=0,
            about="Views of each image: itself and augmented ones; 0: a new one each epoch, not stored.",
            panel=TRAINING,
        ),
    ] = 8,
    augmentation: Annotated[
        Recipe,
        choice(
            Recipe,
            about="How views are drawn; grey is for CT, MR and ultrasound, reference the paper's",
            panel=TRAINING,
        ),
    ] = Recipe.OWN,
    protocol: ProtocolOption = Protocol.OWN,
    seed: Annotated[int, option("--seed", min=0, about="Seed of weights, draws and val rows.", panel=TRAINING)] = 0,
    window: WindowOption = None,
    axis: AxisOption = None,
    crop_border: CropOption = None,
    label: ClassOption = None,
    instances: InstancesOption = False,
    mask_threshold: ThresholdOption = None,
    val_share: Annotated[
        float,
        option(
            "--val-share",
            min=0.01,
            max=0.9,
            metavar="SHARE",
            about="Share of the train rows to validate on, where there are no val rows.",
            panel=DATA,
        ),
    ] = DEFAULT_VAL_SHARE,
    precision: Annotated[Precision, choice(Precision, about="Mixed precision", panel=COMPUTING)] = Precision.NO,
    device: DeviceOption = "auto",
    store: StoreOption = None,
) -> None:
    """Train a model on your images; SAM stays frozen. The same command resumes after an interruption."""
    from promise_seg.class_sets import class_folder, write_class_set
    from promise_seg.errors import ManifestError
    from promise_seg.learning.run_note import DataOrigin
    from promise_seg.learning.settings import APM_PREFIX, OPTIONS, make_settings
    from promise_seg.protocol import training_deviations

    of_apm = {name: name for name in context.params if name.startswith(APM_PREFIX)}
    given = {
        setting: context.params[option]
        for setting, option in (OPTIONS | of_apm).items()
        if (source := context.get_parameter_source(option)) is not None and source.name != "DEFAULT"
    }
    settings = make_settings(protocol=protocol, **given)
    print_deviations(training_deviations(settings.protocol))

    from promise_seg.dataset.checks import classes_of
    from promise_seg.dataset.manifest import of_split, read_manifest, split_off_validation
    from promise_seg.images.reading import make_reading, parse_classes
    from promise_seg.vocabulary import MaskKind, Split

    if crop_border is None and settings.protocol == Protocol.REFERENCE:
        crop_border = True
    reading = make_reading(
        window=window, axis=axis, crop_border=crop_border, label=label, instances=instances,
        mask_threshold=mask_threshold,
    )  # fmt: skip
    rows = read_manifest(data)
    has_val = bool(of_split(rows, Split.VAL))
    origin = DataOrigin(data=str(data), val_share=None if has_val else val_share)
    if not has_val:
        rows = split_off_validation(rows, share=val_share, seed=seed)
        count = len(of_split(rows, Split.VAL))
        console.print(f"no val rows in {data}: took {count} of the train rows (whole groups) to choose on")
    checked = read_and_check(rows, reading)

    quiet_libraries()
    from promise_seg.sam.loading import load_sam

    accelerator = make_accelerator(device, precision)
    frozen = load_sam(sam, accelerator.device, image_size)
    print_notes(frozen)
    if reading.masks != MaskKind.CLASSES or reading.label is not None:
        _train_one(output, checked, frozen, store, settings, accelerator, origin)
        return
    held = classes_of([row for row in checked if row.row.split == Split.TRAIN])
    wanted = parse_classes(label) if label is not None else None
    classes = held if wanted is None else wanted
    if not held or set(classes) - set(held):
        missing = ", ".join(map(str, sorted(set(classes) - set(held)))) or "any"
        raise ManifestError(
            f"{data}: --class {label}: no mask of the train rows contains {missing}; they contain "
            f"{', '.join(map(str, held)) or 'nothing'}"
        )
    write_class_set(output, classes)
    for number in classes:
        console.print(f"class {number}, of {', '.join(map(str, classes))}:")
        of_class = [row.of_class(number) for row in checked]
        _train_one(class_folder(output, number), of_class, frozen, store, settings, accelerator, origin)


def _train_one(
    output: Path,
    checked: "list[CheckedRow]",
    frozen: "Backbone",
    store: Path | None,
    settings: "TrainSettings",
    accelerator: "Accelerator",
    origin: "DataOrigin",
) -> None:
    """Start or resume a run and calibrate its trust score, with a progress bar."""
    from promise_seg.checkpoint import BEST_FOLDER
    from promise_seg.features.store import FeatureStore
    from promise_seg.learning.training import TrainingRun
    from promise_seg.trust.calibrating import ensure_calibrated

    run = TrainingRun(output, checked, frozen, FeatureStore(store), settings, accelerator, origin)
    if run.finished:
        console.print(f"{output}: this run is already finished")
    elif run.epoch:
        console.print(f"{output}: going on after epoch {run.epoch}")
    with stages_bar() as progress:
        encoded = 0 if run.finished else run.encode(progress)
        run.run(progress)
        trust, reason = None, ""
        if accelerator.is_main_process:
            try:
                trust = ensure_calibrated(
                    output / BEST_FOLDER, checked, FeatureStore(store), frozen, accelerator.device, progress
                )
            except SettingsError as error:
                reason = str(error)
    console.print(
        f"encoded {encoded} views; best val Dice {run.best['dice']:.4f} at epoch {run.best['epoch'] + 1}, "
        f"in {output / BEST_FOLDER}"
    )
    if trust is not None:
        print_learned(trust)
    if reason:
        console.print(f"note: no trust scores: {reason}", markup=False)


def make_accelerator(device: str, precision: Precision):  # type: ignore[no-untyped-def]  # imported late
    """Return an accelerator for a device and precision.

    Raises:
        SettingsError: if this machine cannot do that.
    """
    from accelerate import Accelerator

    chosen = pick_device(device)
    try:
        return Accelerator(cpu=chosen.type == "cpu", mixed_precision=str(precision))
    except (ValueError, ImportError) as error:
        raise SettingsError(f"--precision {precision} on {chosen.type}: {error}") from error
