"""Predict into an address (``s3://``, ``gs://``), as parts, because their logs need no appending to files."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from promise_seg.fleet.ray_cluster import RayOptions
from promise_seg.images.exports.inputs import Input
from promise_seg.parallel.parts import Part
from promise_seg.prediction.folders import Outcome
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import Merged, merge_parts
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.parquet_tables import write_tables
from promise_seg.prediction.part_run import predict_part
from promise_seg.progress import Progress, silent
from promise_seg.storage.remote_paths import as_path
from promise_seg.vocabulary import OutputFormat
from promise_seg.workflows.noting import Note
from promise_seg.workflows.ray_predicting import PredictJob, predict_on_ray


def predict_to_address(
    labeller: Labeller,
    inputs: Sequence[Input],
    address: str,
    output: OutputFormat,
    part: Part | None,
    *,
    keep_empty_frames: bool,
    every: int,
    parquet: bool,
    progress: Progress,
    note: Note,
) -> Outcome:
    """Predict the missing images at an address; without a part, also write the tables.

    Args:
        labeller: the labeller that predicts.
        inputs: the images of all parts.
        address: the address of the output, such as ``s3://bucket/prefix``.
        output: the format of the masks.
        part: the part that this process predicts; ``None`` for all images.
        keep_empty_frames, every: see :func:`~promise_seg.prediction.folders.predict_folder`.
        parquet: whether the tables are also written as Parquet.
        progress: called for each image.
        note: called with a line about the part that is predicted.

    Raises:
        SettingsError: if the address is invalid.
        PromiseError: if the address holds predictions of other images, another model or another version, or cannot be
            written.
    """
    with OutputCopy(address).opened() as at:
        outcome = predict_part(
            labeller, inputs, at.folder, output, progress, part=part or Part(1, 1), note=note,
            keep_empty_frames=keep_empty_frames, every=every, at=at,
        )  # fmt: skip
        if part is None:
            at.begin()  # includes what other processes did meanwhile
            merged = _merge(at, parquet, progress)
            outcome = replace(outcome, notes=[*outcome.notes, *merged.notes])
        return _named(at, outcome)


def predict_to_address_on_ray(
    job: PredictJob,
    inputs: Sequence[Input],
    address: str,
    ray: RayOptions,
    instances: bool,
    parquet: bool,
    progress: Progress,
    note: Note,
) -> Outcome:
    """Predict the missing images at an address on a cluster; see :func:`predict_on_ray`."""
    with OutputCopy(address).opened() as at:
        job = replace(job, folder=at.folder, address=address)
        outcome = predict_on_ray(job, inputs, ray, instances, progress, note, at)
        notes = write_tables(at.folder, wanted=parquet)
        at.share_tables()
        return _named(at, replace(outcome, notes=[*outcome.notes, *notes]))


def merge_at_address(address: str, *, parquet: bool = False, progress: Progress = silent) -> Merged:
    """Merge the parts that were predicted at an address.

    Raises:
        PromiseError: if the address holds no parts, or cannot be read or written.
    """
    with OutputCopy(address).opened() as at:
        return _merge(at, parquet, progress)


def opened_to_read(address: str) -> AbstractContextManager[OutputCopy]:
    """Open the records of the predictions at an address, without the masks, to read their progress."""
    return OutputCopy(address).opened(with_masks=False)


def _merge(at: OutputCopy, parquet: bool, progress: Progress) -> Merged:
    merged = merge_parts(at.folder, progress)
    notes = (*merged.notes, *write_tables(at.folder, wanted=parquet))
    at.share_tables()
    failures: Path | None = None if merged.failures is None else as_path(at.named(str(merged.failures)))
    return replace(merged, failures=failures, notes=tuple(map(at.named, notes)))


def _named(at: OutputCopy, outcome: Outcome) -> Outcome:
    """Return an outcome whose problems and notes name the address instead of the local folder."""
    return replace(outcome, problems=list(map(at.named, outcome.problems)), notes=list(map(at.named, outcome.notes)))
