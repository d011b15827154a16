"""Predict masks for files and folders of images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from promise_seg.archives.address import address_among
from promise_seg.arguments import check_place, checks_arguments, shown, whole_number, yes_or_no
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.fleet.ray_cluster import RayOptions
from promise_seg.images.channels import Channels
from promise_seg.images.reading import NO_OPTIONS, Reading, ReadingOptions
from promise_seg.images.tiles import Tiling
from promise_seg.parallel.parts import Part
from promise_seg.prediction.cuts import parse_axes
from promise_seg.prediction.folders import Outcome, PredictionFolder
from promise_seg.prediction.folders import predict_folder as predict_inputs
from promise_seg.prediction.labelling import Labeller, parse_names
from promise_seg.prediction.merging import Merged, merge_parts
from promise_seg.prediction.output_copies import check_output_address
from promise_seg.prediction.outputs.formats import check_holds_instances
from promise_seg.prediction.parquet_tables import check_parquet, write_tables
from promise_seg.prediction.part_plan import holds_parts
from promise_seg.prediction.part_run import predict_part
from promise_seg.prediction.part_status import PartStatus, status_of_parts
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import notes_with_trained_model
from promise_seg.storage.object_stores import address_of
from promise_seg.validation import make_options
from promise_seg.vocabulary import OutputFormat, Slices
from promise_seg.workflows.address_predicting import (
    merge_at_address,
    opened_to_read,
    predict_to_address,
    predict_to_address_on_ray,
)
from promise_seg.workflows.archive_predicting import ArchiveJob, archive_to_send_to
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.encoding import refuse_for_loaded
from promise_seg.workflows.listed_images import find_images
from promise_seg.workflows.model_ref import ModelRef
from promise_seg.workflows.models import ClassModels, Model, ModelLike, load
from promise_seg.workflows.noting import Note, no_note
from promise_seg.workflows.outputs import check_output_place
from promise_seg.workflows.ray_places import check_no_ray_cpus, ray_options
from promise_seg.workflows.ray_predicting import PredictJob, predict_on_ray

_ANY_TILES = Tiling(side=2**20, overlap=0)


def load_labeller(
    model: ModelLike,
    *,
    sam: Backbone | str | None = None,
    device: str | torch.device = "auto",
    encoder_precision: str | None = None,
    names: str | Sequence[str] = (),
    always_segment: bool = False,
    instances: bool = False,
    slices: str = Slices.AUTO,
    axes: str | Sequence[str] | None = None,
    tile: int | str | None = None,
    overlap: int | None = None,
    level: int | None = None,
) -> Labeller:
    """Return a labeller that turns images into label maps with a model, or with one for each class.

    Args:
        model: a model, or the name of one.
        sam: the model's SAM, if it is no longer where training found it.
        device: the device for the model.
        encoder_precision: the precision of SAM's encoder; by default that of training.
        names: names of the segmented classes, ``NAME`` or ``LABEL=NAME``.
        always_segment: also segment images that the model judges to be empty.
        instances: whether labels are the numbers of separate objects.
        slices: how the slices of a volume are combined; see :func:`predict_folder`.
        axes: the axes across which volumes are sliced; see :func:`predict_folder`.
        tile, overlap, level: options for large images; see :func:`predict_folder`.

    Raises:
        CheckpointError: if a model cannot be loaded.
        SettingsError: if the model has no APM, or a name or an option of tiles is invalid.
    """
    options = make_options(ReadingOptions, tile=tile, overlap=overlap, level=level)
    options.applied_to(Reading(tiles=_ANY_TILES))  # refuses values that are invalid for any model, before loading one
    if isinstance(model, str | Path | ModelRef):
        model = load(model, sam=sam, device=device, encoder_precision=encoder_precision, always_segment=always_segment)
    else:
        refuse_for_loaded(sam=sam, encoder_precision=encoder_precision, always_segment=always_segment or None)
    if options != NO_OPTIONS:
        model = model.reading_as(options)
        options.check_overlaps(model.reading)
    return model.labeller(names, instances=instances, slices=slices, axes=axes)


@checks_arguments("output_format", "names", "ray", "progress", "note")
def predict_folder(
    model: Model | ClassModels | Labeller | str | Path | ModelRef,
    images: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    output_format: str = OutputFormat.AUTO,
    names: str | Sequence[str] = (),
    sam: Backbone | str | None = None,
    device: str | torch.device = "auto",
    encoder_precision: str | None = None,
    always_segment: bool = False,
    keep_empty_frames: bool = False,
    every: int = 1,
    instances: bool = False,
    slices: str = Slices.AUTO,
    axes: str | Sequence[str] | None = None,
    tile: int | str | None = None,
    overlap: int | None = None,
    level: int | None = None,
    send: bool = False,
    to: str | None = None,
    part: str | None = None,
    ray: str | None = None,
    ray_cpus: int = 1,
    parquet: bool = False,
    progress: Progress = silent,
    note: Note = no_note,
) -> Outcome:
    """Predict masks in the frames of the input images, with the model's own prompts; no ground truth is read.

    Existing output is kept, so that an interrupted call resumes when it is repeated. An image that cannot be read does
    not stop the others: it is one of the outcome's ``problems``.

    Args:
        model: a model, or the name of one.
        images: images, volumes, DICOM files, and folders of them, at any depth; outputs keep their tree. Or one
            manifest. All of these may be addresses (``s3://``, ``gs://``, ``https://``). Or the address of an archive
            with filters, such as ``dicomweb://HOST/PATH?Modality=CT``.
        output: folder for masks, overlays and ``predictions.csv``; or an address, such as ``s3://bucket/prefix``.
        output_format: ``auto`` (as the input, which is DICOM-SEG for DICOM), ``png``, ``tiff``, ``nifti``, ``nrrd``,
            ``metaimage``, ``npy``, ``dicom-seg``, ``rle``, ``coco`` or ``geojson``.
        names: names of the segmented classes, for the formats that hold names (``dicom-seg``, ``nrrd``, ``rle``,
            ``coco`` and ``geojson``): ``NAME``, or ``LABEL=NAME`` for one of several.
        sam: the model's SAM, if it is no longer where training found it.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        encoder_precision: the precision of SAM's encoder: ``fp32``, ``bf16``, ``fp16`` (on GPUs) or ``int8`` (on CPUs);
            by default that of training.
        always_segment: also segment images that the model judges to be empty; by default their masks are empty.
        every: predict every Nth frame of videos, from the first.
        instances: find each object separately: write instance maps instead of masks, and ``objects.csv``.
        slices: how the slices of a volume are combined: ``each`` separately, ``blend`` along the stack, ``agree`` with
            their neighbours, or ``auto``, as chosen on validation rows by :func:`tune_postprocess`; without such a
            choice ``each``.
        axes: the axes across which volumes are sliced, such as ``axial,coronal,sagittal``, including that of training;
            the mask is made of the mean probabilities. By default the axis of training alone.
        tile: side of the tiles that larger images are divided into, in pixels; ``none`` for whole images; by default,
            and with ``auto``, as in training.
        overlap: how many pixels neighbouring tiles share; by default as in training, or a quarter of a tile.
        level: which level of a pyramid in a TIFF is read; by default as in training.
        part: ``K/N``, to predict the Kth of N parts while other processes predict the others, or ``slurm`` for the part
            of the task of a job array. ``predictions.csv`` is then written by :func:`merge_predictions`.
        ray: predict on a Ray cluster: ``auto`` for the one that this computer belongs to, ``local`` for one that is
            started here for this call, or ``HOST:PORT`` of its head node. Its computers must see the images, the model
            and the output at the same places.
        ray_cpus: the number of CPUs of each worker; each also takes one GPU if the cluster has any and ``device`` is
            not ``cpu``.
        parquet: also write ``predictions.parquet`` next to ``predictions.csv``, and ``objects.parquet``.
        keep_empty_frames: keep a frame for each slice in DICOM segmentations, even if it is empty.
        send: send the DICOM segmentations back to the archive that the images came from.
        to: send them to the archive at this address instead.
        progress: called for each image.
        note: called with each line that the user should know about the model and about inputs that are left out.

    Raises:
        ImageError: if there are no images.
        ArchiveError: if an archive cannot be searched or has no images; one that is lost later is among the problems.
        SettingsError: if an option is invalid, or the model has no APM.
        CheckpointError: if the model cannot be loaded.
        PromiseError: if the folder holds another model's predictions or cannot be written, or the cluster cannot work.
    """
    every = whole_number(every, "--every", 1)
    places = _checked_places(images)
    _check_types(
        model, output, always_segment=always_segment, keep_empty_frames=keep_empty_frames, instances=instances,
        send=send, parquet=parquet,
    )  # fmt: skip
    wanted = chosen(OutputFormat, output_format, "--format")
    check_parquet(parquet, part)
    its_part = None if part is None else Part.parse(str(part))
    cluster = _cluster(ray, ray_cpus, part, (model, sam), device)
    address_to = _checked_output(output, wanted, instances, in_parts=its_part is not None or cluster is not None)
    if instances:
        check_holds_instances(wanted)
    way, several = chosen(Slices, slices, "--slices"), parse_axes(axes)
    address, channels = address_among(places), _channels_of(model)
    if address is not None:
        _check_archive_alone(part, ray, address_to)
    sink = archive_to_send_to(address, send, to, wanted, instances)
    inputs = find_images(places, note, address_to or output, channels) if address is None else []
    of_archive = None if address is None else ArchiveJob(address, sink, Path(output), progress, note)
    options: dict[str, Any] = {
        "sam": sam, "device": str(device), "encoder_precision": encoder_precision, "names": _listed(names),
        "always_segment": always_segment, "instances": instances, "slices": way, "axes": several or None,
        "tile": tile, "overlap": overlap, "level": level,
    }  # fmt: skip
    if cluster is not None and isinstance(model, str | Path | ModelRef):
        job = PredictJob(ModelRef.resolve(model), options, Path(output).absolute(), wanted, keep_empty_frames, every)
        if address_to is not None:
            return predict_to_address_on_ray(job, inputs, address_to, cluster, instances, parquet, progress, note)
        return _with_tables(predict_on_ray(job, inputs, cluster, instances, progress, note), output, parquet)
    labeller = _ready_labeller(model, options | {"device": device}, note)
    frames: dict[str, Any] = {"keep_empty_frames": keep_empty_frames, "every": every}
    if of_archive is not None:
        target = PredictionFolder(output, labeller, wanted, **frames)
        return _with_tables(of_archive.predict(labeller, target, every, channels), output, parquet)
    if address_to is not None:
        return predict_to_address(
            labeller, inputs, address_to, wanted, its_part, parquet=parquet, progress=progress, note=note, **frames
        )
    if its_part is not None:
        return predict_part(labeller, inputs, output, wanted, progress, part=its_part, note=note, **frames)
    return _with_tables(predict_inputs(labeller, inputs, output, wanted, progress, **frames), output, parquet)


def _ready_labeller(model: ModelLike | Labeller, options: dict[str, Any], note: Note) -> Labeller:
    """Return the labeller of a model that is loaded with options, and pass on the notes of the model.

    Args:
        model: a model, or the name of one; or a labeller, which must have been made with the same options.
        options: the options of :func:`load_labeller`.
        note: called with each note.
    """
    if isinstance(model, Labeller):
        _check_loaded_with(model, options)
        return model
    labeller = load_labeller(model, **options)
    of_sam = (f"{labeller.sam.name}: {words}" for words in notes_with_trained_model(labeller.sam))
    for line in (*of_sam, *labeller.notes):
        note(line)
    return labeller


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _checked_places(images: Any) -> list[str | Path]:
    """Return the places of images as a list.

    Raises:
        SettingsError: if a place is neither a path nor an address, or there is none.
    """
    places = [images] if isinstance(images, str | Path) or not isinstance(images, Iterable) else list(images)
    if not places:
        raise SettingsError("images: the list is empty; expected files, folders or addresses")
    for place in places:
        check_place(place, "images")
    return places


def _check_types(model: object, output: object, **flags: object) -> None:
    """Check the types of the model, the output and the flags, as a Python user may give them."""
    for name, value in flags.items():
        yes_or_no(value, name)
    if not isinstance(model, str | Path | ModelRef | Labeller | Model | ClassModels):
        raise SettingsError(f"model {shown(model)}: expected a path, or what promise_seg.load returns")
    check_place(output, "output")


def _checked_output(output: str | Path, wanted: OutputFormat, instances: bool, *, in_parts: bool) -> str | None:
    """Return the address that predictions are written to, or ``None`` for a folder, after checking it."""
    address = address_of(output)
    if address is not None:
        check_output_address(address, wanted, instances)
        return address
    if not in_parts and holds_parts(Path(output)):
        raise PromiseError(
            f"-o {output}: was predicted in parts. Give --part 1/1 or --ray to predict what is missing, "
            "--merge to make the table, or choose another folder"
        )
    check_output_place(output)
    return None


def _check_archive_alone(part: str | None, ray: str | None, address_to: str | None) -> None:
    """Refuse options that cannot be combined with the images of an archive."""
    if (part or ray) is not None:
        option = "--ray" if part is None else f"--part {part}"
        raise SettingsError(f"{option}: the images of an archive are not predicted in parts. Leave it out")
    if address_to is not None:
        raise SettingsError(f"-o {address_to}: the images of an archive are predicted into a folder. Choose one as -o")


def _with_tables(outcome: Outcome, output: str | Path, parquet: bool) -> Outcome:
    """Write the tables of a folder as Parquet if that is wanted, and return the outcome with the notes on it."""
    return replace(outcome, notes=[*outcome.notes, *write_tables(Path(output), wanted=parquet)])


@checks_arguments("output", "parquet", "progress")
def merge_predictions(output: str | Path, *, parquet: bool = False, progress: Progress = silent) -> Merged:
    """Merge predictions that were made in parts into one table, and report missing and failed images.

    Each image is in ``predictions.csv`` once, in the order of a run without parts; ``failures.csv`` has a line with the
    reason for each image that is not. It may be called repeatedly and at any time, even while parts are at work.

    Args:
        output: the folder of the predictions, or their address.
        parquet: also write the tables as Parquet; see :func:`predict_folder`.
        progress: called for each item that is read.

    Raises:
        PromiseError: if the folder holds no parts, or cannot be read or written.
    """
    check_parquet(parquet)
    if (address := address_of(output)) is not None:
        return merge_at_address(address, parquet=parquet, progress=progress)
    merged = merge_parts(output, progress)
    return replace(merged, notes=(*merged.notes, *write_tables(Path(output), wanted=parquet)))


@checks_arguments("output", "progress")
def prediction_status(output: str | Path, *, progress: Progress = silent) -> PartStatus:
    """Return the progress of predictions in parts, their total speed, and which processes are at work.

    This reads what the processes have logged, and changes nothing.

    Args:
        output: the folder of the predictions, or their address.
        progress: called for each item that is read.

    Raises:
        PromiseError: if the folder holds no parts, or cannot be read.
    """
    if (address := address_of(output)) is not None:
        with opened_to_read(address) as at:
            return status_of_parts(at.folder, progress)
    return status_of_parts(output, progress)


def _cluster(
    ray: str | None, cpus: int, part: str | None, sent: tuple[object, object], device: str | torch.device
) -> RayOptions | None:
    """Return the cluster with the given address, after checking the other options; ``None`` for this computer."""
    if ray is None:
        check_no_ray_cpus(cpus)
        return None
    if part is not None:
        raise SettingsError(f"--part {part}: with --ray, the cluster divides the work. Leave one of them out")
    model, sam = sent
    if not isinstance(model, str | Path | ModelRef) or isinstance(sam, Backbone):
        raise SettingsError("ray: a model that is loaded already is not sent to a cluster. Give its place")
    return ray_options(ray, cpus, device)


def _check_loaded_with(labeller: Labeller, options: dict[str, Any]) -> None:
    """Check that a labeller was made with the options that the caller asks for.

    Raises:
        SettingsError: naming the first other option.
    """
    for name, asked in (("instances", options["instances"]), ("slices", options["slices"]), ("axes", options["axes"])):
        loaded = getattr(labeller, name)
        if (asked or ()) != (loaded or ()):
            raise SettingsError(f"{name}={asked}: the model was loaded with {name}={loaded}. Load it with the same")
    if parse_names(options["names"], list(labeller.names)).items() - labeller.names.items():
        known = ", ".join(f"{label}={name}" for label, name in labeller.names.items())
        raise SettingsError(
            f"names={', '.join(options['names'])}: the model was loaded with the names {known}. Load it with the same"
        )
    refuse_for_loaded(
        sam=options["sam"],
        encoder_precision=options["encoder_precision"],
        always_segment=options["always_segment"] or None,
    )
    if (options["tile"], options["overlap"], options["level"]) != (None, None, None):
        raise SettingsError("tile, overlap and level belong to the model here: load it with them")


def _channels_of(model: ModelLike | Labeller) -> Channels | None:
    """Return the channels that a model reads, without loading it; None if unknown: loading then reports any error."""
    if not isinstance(model, str | Path | ModelRef):
        return model.reading.channels
    try:
        ref = model if isinstance(model, ModelRef) else ModelRef.resolve(model)
        reading = ref.reading()
    except PromiseError:
        return None
    return None if reading is None else reading.channels
