"""Predict a list of images on a Ray cluster."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from promise_seg.fleet.dispatch import Dispatcher
from promise_seg.fleet.ray_cluster import RayOptions, connected
from promise_seg.fleet.work import SharedFolders
from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input
from promise_seg.parallel.parts import Part
from promise_seg.prediction.folders import Outcome
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.part_plan import PartPlan, in_order
from promise_seg.prediction.part_run import prediction_claims
from promise_seg.prediction.part_table import PartTable, Piece
from promise_seg.prediction.piece_work import PieceWork
from promise_seg.progress import Progress
from promise_seg.storage.holders import Holder
from promise_seg.vocabulary import OutputFormat
from promise_seg.workflows.model_ref import ModelRef
from promise_seg.workflows.noting import Note
from promise_seg.workflows.ray_places import place_of


@dataclass(frozen=True)
class PredictJob:
    """The instructions for each worker: which model to load, and where to write predictions.

    Args:
        model: the reference of the model.
        options: options of :func:`~promise_seg.workflows.predicting.load_labeller`.
        folder: the folder of the predictions.
        output: the format of the masks.
        keep_empty_frames, every: see :func:`~promise_seg.workflows.predicting.predict_folder`.
        place: the folders that the worker must see.
        ends: how much of each log the main process has read, in bytes, by the name of the log.
        address: the address of the predictions, if they are not in a shared folder; each worker then has its own copy.
    """

    model: ModelRef
    options: dict[str, Any]
    folder: Path
    output: OutputFormat
    keep_empty_frames: bool
    every: int
    place: SharedFolders | None = None
    ends: dict[str, int] = field(default_factory=dict)
    address: str | None = None

    def open(self) -> PieceWork:
        """Load the model on the computer of a worker.

        Raises:
            PromiseError: if that computer lacks something, or has another model.
        """
        from promise_seg.workflows.predicting import load_labeller

        if self.place is not None:
            self.place.enter()
        labeller = load_labeller(self.model, **self.options)
        at = None if self.address is None else OutputCopy(self.address)
        if at is not None:
            at.begin_to_work()
        return PieceWork(
            labeller, self.folder if at is None else at.folder, self.output, keep_empty_frames=self.keep_empty_frames,
            every=self.every, ends=self.ends, at=at,
        )  # fmt: skip


class _PredictDesk:
    """The main process's handling of images whose workers died; see :class:`~promise_seg.fleet.work.Desk`."""

    work = "predict"

    def __init__(
        self, folder: Path, table: PartTable, plan: PartPlan, inputs: InputList, at: OutputCopy | None
    ) -> None:
        self._folder, self._claims, self._table = folder, prediction_claims(folder), table
        self._plan, self._inputs, self._at = plan, inputs, at

    def begin(self) -> None:
        """Write the plan, once a worker has compared its model with that of the predictions."""
        self._plan.begin(self._folder, self._inputs)
        if self._at is not None:
            self._at.share_plan(self._plan, self._inputs)

    def name(self, item: Piece) -> str:
        """Return the name of an image in logs."""
        return item.input.stem

    def free(self, item: Piece, process: Holder) -> None:
        """End the claim of a dead worker."""
        self._claims.end_of(item.input.stem, process)

    def fail(self, item: Piece, reason: str) -> str:
        """Log that an image is given up."""
        words = f"{item.input.name}: {reason}"
        self._table.note_problem(item.input, words)
        return words


def predict_on_ray(
    job: PredictJob,
    inputs: Sequence[Input],
    ray: RayOptions,
    instances: bool,
    progress: Progress,
    note: Note,
    at: OutputCopy | None = None,
) -> Outcome:
    """Predict those of a list of images that are missing in the output, on a cluster, and write the tables.

    Args:
        job: the instructions for the workers.
        inputs: all images.
        ray: the cluster.
        instances: whether each image has a table of objects.
        progress: called for each image.
        note: called with each line that the user should know about the cluster and the model.
        at: the address that the folder is a copy of, if any.

    Raises:
        SettingsError: if there is no such cluster.
        PromiseError: if the folder holds predictions of other images, another model or another version, it cannot be
            written, or no computer of the cluster can work.
    """
    ray.check()
    folder, inputs = job.folder, in_order(inputs)
    table = PartTable(folder, Part(1, 1), inputs, instances)
    missing = table.missing()
    plan = PartPlan.of(inputs)
    plan.check(folder)
    note(f"{len(inputs):,} images, {len(missing):,} of them to be predicted")
    predicted, already_there, problems, notes = 0, len(inputs) - len(missing), list[str](), list[str]()
    if missing:
        first = missing[0].files or (missing[0].path,)
        with connected(ray) as fleet, place_of(None if at else folder, first) as place:
            fleet.job = replace(job, place=place, ends=table.ends)
            desk = _PredictDesk(folder, table, plan, inputs, at)
            dispatcher = Dispatcher(fleet, desk, stage="predicting", progress=progress, note=note)
            found = dispatcher.run(map(table.piece, missing), len(missing))
        predicted, already_there, notes = found.done, already_there + found.already_there, found.notes
        problems = [found.problems[number] for number in sorted(found.problems)]
        if not already_there and not problems:  # otherwise the kind of some inputs is not known
            notes = [*notes, *sorted(found.common_notes or ())]
    else:  # no worker compares the model with that of the predictions
        here = job.options["device"] if torch.cuda.is_available() else "cpu"
        replace(job, options=job.options | {"device": here}, address=None).open()
        _PredictDesk(folder, table, plan, inputs, at).begin()
    if at is not None:
        at.share_logs()
        at.begin()  # includes what workers did
    merged = merge_parts(folder, progress)
    if not merged.is_complete and not problems:
        problems.append(f"{folder}: {merged.missing + merged.failed:,} images are not in the table; {merged.failures}")
    return Outcome(predicted, already_there, problems, [*notes, *merged.notes])
