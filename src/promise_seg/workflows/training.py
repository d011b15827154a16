"""Train models: one, or one for each class of label maps, from random weights or from an existing model."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from promise_seg.arguments import checks_arguments
from promise_seg.class_sets import check_class_set, class_folder, write_class_set
from promise_seg.dataset.checks import CheckedRow, classes_of
from promise_seg.dataset.contrast import Contrasts
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import scan_manifest
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.learning.object_sizes import MOST_ROWS, spread
from promise_seg.learning.run_note import DataOrigin
from promise_seg.learning.settings import (
    APM_PREFIX,
    TrainSettings,
    documented_options,
    unknown_option,
    with_usual_epochs,
)
from promise_seg.learning.starting import StartingPoint
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_classes import ClassesRun
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import NANO
from promise_seg.storage.locks import Lock, alone_in
from promise_seg.vocabulary import Protocol, StorePrecision
from promise_seg.workflows.begun_run import images_of_run, settings_of_run
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.devices import make_accelerator
from promise_seg.workflows.encoding import encoding_in
from promise_seg.workflows.evaluation import as_store, data_name
from promise_seg.workflows.models import AnyModel, ModelLike, load
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.one_model import check_has_classes, check_one_model
from promise_seg.workflows.one_run import Trained, run_and_calibrate, run_and_calibrate_classes
from promise_seg.workflows.outputs import check_apart_from_data, check_run_folder
from promise_seg.workflows.sizing import Sizing, first_sam
from promise_seg.workflows.starts import Starts
from promise_seg.workflows.tiling import tiles_to_learn
from promise_seg.workflows.training_rows import split_as_recorded
from promise_seg.workflows.training_settings import first_notes, settings_for, usual_reading

if TYPE_CHECKING:
    from accelerate import Accelerator


@checks_arguments("data", "image_size", "init", "store", "val_share", "one_model", "progress", "note", "trained")
def train(
    data: Dataset | Callable[[], Dataset] | str | Path,
    output: str | Path,
    *,
    variant: str | None = None,
    apm: str | None = None,
    points: int | None = None,
    foreground: int | None = None,
    sam: Backbone | str = NANO,
    image_size: int | None = None,
    encoder_precision: str | None = None,
    train_also: str | None = None,
    fit: str | None = None,
    init: ModelLike | Starts | None = None,
    one_model: bool = False,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    optimizer: str | None = None,
    point_weight: float | None = None,
    saliency_weight: float | None = None,
    inverted_views: float | None = None,
    views: int | None = None,
    augmentation: str | None = None,
    protocol: str = Protocol.OWN,
    seed: int | None = None,
    val_share: float = DEFAULT_VAL_SHARE,
    precision: str | None = None,
    device: str | torch.device = "auto",
    store: str | Path | FeatureStore | None = None,
    store_precision: str = StorePrecision.FP16,
    progress: Progress = silent,
    note: Note = no_note,
    trained: Callable[[Trained], object] = lambda _: None,
    **apm_options: Any,
) -> AnyModel:
    """Train a model, calibrate it, and return the best one by the val rows; an unfinished run in ``output`` is resumed.

    >>> import promise_seg
    >>> data = promise_seg.Dataset.from_csv("polyps.csv")
    >>> model = promise_seg.train(data, "runs/points", variant="apm", epochs=1, views=1)
    >>> model.model.config.variant.value
    'apm'

    Options that are ``None`` are taken from the model of ``init``, or else from the protocol.

    Args:
        data: a data set, its manifest, or a function that reads the data set, which is called after the other arguments
            were checked. For label maps with several classes, a model is trained for each.
        output: folder of the run; with several classes it gets a folder ``class-1`` ... for each.
        variant: ``apm``, ``ips`` or, by default, ``apm+ips``.
        apm: the auto-prompter: ``pretrained``, ``heatmap`` or ``peaks`` (ours), ``resnet`` or ``cross`` (the paper's).
        points: the number of points that it proposes; by default 16.
        foreground: the number of foreground points; by default half of them, rounded up.
        sam: ``nano``, a name of ``promise sam list``, an official ``.pth`` file, a folder or hub name of transformers,
            or a SAM that is already loaded.
        image_size: side of SAM's input, in pixels; by default the one that it was trained at, or a multiple of it if
            objects would be too small there.
        encoder_precision: the precision of SAM's encoder: ``fp32``, ``bf16``, ``fp16`` (on GPUs) or ``int8`` (on CPUs).
        train_also: parts of SAM to train as well: ``none``, ``prompt-encoder``, ``decoder``,
            ``prompt-encoder+decoder`` or ``everything``.
        fit: how images are made square: ``stretch``, ``pad`` or ``square``.
        init: a model to start from, or the name of one: parts that fit are copied, all others are initialised anew. The
            images that it was trained on are recorded as training images of the new model, too.
        one_model: train one network for all classes of label maps, instead of one for each.
        epochs: passes over the train rows; by default as many as ``pretrained`` needs to see about 7,000 images, from
            20 to 60; 40 with another APM.
        batch_size: the number of images in a step; by default 8 with ``pretrained``, and 16 otherwise.
        accumulate: number of parts that a batch is computed in, one after the other, to save memory; by default 1.
        learning_rate: the maximum learning rate; by default 5e-4.
        weight_decay: weight decay of the optimizer; by default 0.01.
        optimizer: ``adamw`` or ``adam``.
        point_weight: weight of the loss on the points' positions.
        saliency_weight: weight of the loss on the saliency map.
        inverted_views: share of the new views whose grey levels are inverted, in [0, 1], for ``pretrained`` alone:
            for objects that may be lighter or darker than their surroundings.
        views: number of views of each image: itself and augmented ones; 0 for a new, unstored one in each epoch.
        augmentation: how views are drawn: ``own``, ``light``, ``grey``, ``none`` or ``reference``.
        protocol: ``own``, or ``reference``, the published procedure.
        seed: seed of weights, draws and val rows; by default 0.
        val_share: share of the train rows to validate on, if there are no val rows.
        precision: ``no``, ``bf16`` or ``fp16``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        store_precision: the precision of stored features: ``fp16`` or ``int8``; a store that is passed in has its own.
        progress: called for each image and step.
        note: called with each line that the user should know.
        trained: called with the outcome of each run.
        apm_options: options of one kind of APM alone: ``apm_backbone``, ``apm_side``, ``apm_frozen``,
            ``apm_map_stride``, ``apm_map_norm``, ``apm_start``, ``apm_max_objects`` and ``apm_looks`` of
            ``pretrained``, ``apm_distance`` of ``peaks``, ``apm_position_code`` of ``cross``.

    Returns:
        The best model, as stored in ``output/best``; for several classes, one for each.

    Raises:
        SettingsError: if an option is invalid, the model of ``init`` does not fit or was trained on val rows, or
            training diverged.
        ManifestError: if rows or their files cannot be used.
        CheckpointError: if ``output`` holds a run with other settings, data, SAM or starting point.
    """
    _check_first(output, apm_options)
    protocol = chosen(Protocol, protocol, "--protocol")
    given = {
        "variant": variant, "apm": apm, "points": points, "foreground": foreground, "train_also": train_also,
        "fit": fit, "epochs": epochs, "batch_size": batch_size, "accumulate": accumulate,
        "learning_rate": learning_rate, "weight_decay": weight_decay, "optimizer": optimizer,
        "point_weight": point_weight, "saliency_weight": saliency_weight, "inverted_views": inverted_views,
        "views": views, "augmentation": augmentation, "precision": precision, "seed": seed,
    }  # fmt: skip
    starts = init if init is None or isinstance(init, Starts) else Starts(init)
    begun = settings_of_run(output)
    settings = settings_for(protocol, starts, given | apm_options, begun)
    if one_model:
        check_one_model(settings)
    for line in first_notes(settings, starts, given):
        note(line)
    accelerator = make_accelerator(device, settings.precision)
    kept = as_store(store, store_precision)
    if isinstance(data, str | Path):
        scan_manifest(data)
    first = first_sam(sam, accelerator.device, image_size, encoder_precision, output)
    data = _opened(data, output, protocol, starts, progress, note, one_model=one_model)
    rows = _with_validation(data, val_share, settings.seed, output, note)
    rows, sam = tiles_to_learn(rows, sam, first.device, image_size, output, protocol, note, first)
    sizing = Sizing(rows.train, output, note, settings.fit, is_new=starts is None)
    frozen = sam if isinstance(sam, Backbone) else sizing.load_sam(sam, first.device, image_size, settings, first)
    frozen = encoding_in(frozen, encoder_precision, None if starts is None else starts.first.config)
    del first  # it may be another SAM than the one that is trained with, and take memory until the end
    settings = sizing.with_apm_side(settings)
    if epochs is None or one_model:
        classes = len(rows.classes) if one_model else 1
        settings = with_usual_epochs(settings, len(rows.train), begun, epochs=epochs, classes=classes)
    for line in frozen.notes:
        note(f"{frozen.name}: {line}")
    with _alone_in(Path(output), accelerator) as lock:
        work = _Work(frozen, kept, settings, accelerator, starts, progress, note, lock)
        return (_train_as_one if one_model else _train_all)(work, rows, Path(output), trained)


def _check_first(output: str | Path, options: Mapping[str, Any]) -> None:
    """Refuse folders that no run can be in, and options that do not exist, by the names of all that do.

    Raises:
        SettingsError: naming the folder, or the first such option.
    """
    check_run_folder(output)
    own = [n for n, each in inspect.signature(train).parameters.items() if each.kind is not each.VAR_KEYWORD]
    for name, value in options.items():
        if not name.startswith(APM_PREFIX) and name not in TrainSettings.model_fields:
            raise SettingsError(unknown_option(name, value, {*own, *documented_options()}))


def _opened(
    data: Dataset | Callable[[], Dataset] | str | Path,
    output: str | Path,
    protocol: Protocol,
    starts: Starts | None,
    progress: Progress,
    note: Note,
    *,
    one_model: bool,
) -> Dataset:
    """Return the data set of a training, read from its manifest unless it is one already.

    The folder of the run is checked against the data, and a window to try is named for images of low contrast,
    unless the window is that of the reference, of the model to start from, or of the run to resume.
    """
    if callable(data):
        data = data()
    elif not isinstance(data, Dataset):
        data = Dataset.from_csv(data, like=usual_reading(protocol, starts), progress=progress)
    check_apart_from_data(output, data, note)
    if one_model:
        check_has_classes(data)
    if starts is None and protocol != Protocol.REFERENCE and settings_of_run(output) is None:
        _tell_contrast(data.train, note)
    return data


def _with_validation(data: Dataset, val_share: float, seed: int, output: str | Path, note: Note) -> Dataset:
    """Return the data with val rows, which are split off the train rows if there are none.

    A run of an earlier version, which did not read patients from DICOM files, keeps its val rows when it is resumed.

    Raises:
        ManifestError: if there are no train rows, or too few groups of them to take val rows from.
    """
    rows = data.with_validation(val_share, seed)
    if not rows.train:
        raise ManifestError(
            f"{data_name(data)}: no train rows. Give some rows the split train, or let promise data split assign all "
            "of them"
        )
    if rows.val_share is not None:
        if (images := images_of_run(output)) is not None:
            rows = split_as_recorded(rows, images, seed)
        note(f"no val rows in {data_name(data)}: took {len(rows.val)} of the train rows (whole groups) to choose on")
    return rows


def _tell_contrast(train: Sequence[CheckedRow], note: Note) -> None:
    """Name another window to try if many of the train rows have a low contrast; at most 100 of them are read."""
    contrasts = Contrasts()
    for row in spread(train, MOST_ROWS):
        contrasts.add(row, row.image())
    if (advice := contrasts.advice()) is not None:
        note(advice)


@contextmanager
def _alone_in(output: Path, accelerator: "Accelerator") -> Iterator[Lock | None]:
    """Lock the folder from the main process; the other processes write nothing in it."""
    if not accelerator.is_main_process:
        yield None
        return
    with alone_in(output, "training") as lock:
        yield lock


@dataclass(frozen=True)
class _Work:
    """Settings that are the same for the runs of all classes."""

    sam: Backbone
    store: FeatureStore
    settings: TrainSettings
    accelerator: "Accelerator"
    starts: Starts | None
    progress: Progress
    note: Note
    lock: Lock | None

    def train(self, rows: Dataset, folder: Path, label: int | None) -> Trained:
        """Start or resume one run, and calibrate its trust scores."""
        origin = DataOrigin(data=data_name(rows), val_share=rows.val_share)
        start = None if self.starts is None else self.starts.of_class(label)
        if start is not None:
            self._check_start(start, rows)
        run = TrainingRun(folder, rows, self.sam, self.store, self.settings, self.accelerator, origin, start)
        self._begin(run)
        return run_and_calibrate(run, rows, self.progress, note=self.note)

    def train_as_one(self, rows: Dataset, folder: Path, labels: Sequence[int]) -> Iterator[Trained]:
        """Start or resume the run of one network for several classes; yield the outcome of each class."""
        check_class_set(folder, labels, one_model=True)
        origin = DataOrigin(data=data_name(rows), val_share=rows.val_share)
        starts = {} if self.starts is None else {label: self.starts.of_class(label) for label in labels}
        for start in {one.ref: one for one in starts.values()}.values():
            self._check_start(start, rows)
        run = ClassesRun(folder, rows, labels, self.sam, self.store, self.settings, self.accelerator, origin, starts)
        write_class_set(folder, labels, one_model=True)
        self._begin(run)
        return run_and_calibrate_classes(run, rows, self.progress, note=self.note)

    def _begin(self, run: TrainingRun) -> None:
        """Report what the user should know about a run before it starts."""
        run.lock = self.lock
        if run.start is not None:
            self.note(run.start.words)
        for line in run.notes:
            self.note(line)
        if run.finished:
            self.note(f"{run.folder}: this run is already finished")
        elif run.epoch:
            self.note(f"{run.folder}: resuming after epoch {run.epoch}")

    def _check_start(self, start: StartingPoint, rows: Dataset) -> None:
        """Check that the model to start from was not trained on val rows, and warn if it was trained on test rows."""
        if start.images is None:
            self.note(f"{start.ref}: on which images it was trained is not known; keep val and test rows free of them")
            return
        if known := start.images.trained_on(rows.val):
            raise SettingsError(
                f"--init {start.ref}: was trained on {len(known)} of the {len(rows.val)} val rows (first "
                f"{known[0].name}), so that the best epoch would be chosen on images that it knows. Make these train "
                "rows, or give its own --val-share and --seed if val rows are split off train"
            )
        if known := start.images.trained_on(rows.test):
            self.note(
                f"{start.ref} was trained on {len(known)} of the {len(rows.test)} test rows (first {known[0].name}): "
                "their scores will not measure performance on unseen images"
            )


def _train_all(work: _Work, rows: Dataset, output: Path, trained: Callable[[Trained], object]) -> AnyModel:
    """Train one run, or one for each class."""
    if not rows.is_of_several_classes:
        trained(work.train(rows, output, rows.reading.label))
        return load(output, sam=work.sam, device=work.accelerator.device)
    classes = _classes(rows)
    write_class_set(output, classes)
    for label in classes:
        work.note(f"class {label}, of {', '.join(map(str, classes))}:")
        trained(work.train(rows.of_class(label), class_folder(output, label), label))
    return load(output, sam=work.sam, device=work.accelerator.device)


def _train_as_one(work: _Work, rows: Dataset, output: Path, trained: Callable[[Trained], object]) -> AnyModel:
    """Train one run for all classes."""
    classes = _classes(rows)
    work.note(f"one model for the classes {', '.join(map(str, classes))}")
    for one in work.train_as_one(rows, output, classes):
        trained(one)
    return load(output, sam=work.sam, device=work.accelerator.device)


def _classes(rows: Dataset) -> list[int]:
    """Return the classes to train.

    Raises:
        ManifestError: if no mask of the train rows holds one of the wanted classes.
    """
    held = classes_of(rows.train)
    wanted = held if rows.wanted_classes is None else list(rows.wanted_classes)
    if not held or set(wanted) - set(held):
        missing = ", ".join(map(str, sorted(set(wanted) - set(held)))) or "any"
        raise ManifestError(
            f"{data_name(rows)}: --class {rows.options.label}: no mask of the train rows contains {missing}; they "
            f"contain {', '.join(map(str, held)) or 'nothing'}"
        )
    return wanted
