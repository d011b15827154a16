"""Predict a few images at a time, given by another process, into a folder that all processes share."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from promise_seg.fleet.work import WorkReport
from promise_seg.parallel.overlapping import Helper
from promise_seg.prediction.folder_identity import identity_of
from promise_seg.prediction.folders import PredictionFolder
from promise_seg.prediction.identity import check_identity
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.part_run import PartRun, prediction_claims
from promise_seg.prediction.part_table import Piece, PieceTable
from promise_seg.progress import Stage, silent
from promise_seg.sam.loading import notes_with_trained_model
from promise_seg.vocabulary import OutputFormat

_HASH_SHOWN = 12


class PieceWork:
    """The state of a worker of a cluster: the model and the folder. It writes a log like the processes of parts.

    Args:
        labeller: labeller that makes the predictions.
        folder: output folder that all workers share.
        output: format of the masks.
        keep_empty_frames, every: see :func:`~promise_seg.prediction.folders.predict_folder`.
        ends: number of bytes of each log that the process that sends the images has read.
        at: address that the folder is a local copy of, if any.

    Raises:
        PromiseError: if the folder holds predictions of another model.
    """

    def __init__(
        self,
        labeller: Labeller,
        folder: Path,
        output: OutputFormat,
        *,
        keep_empty_frames: bool,
        every: int,
        ends: Mapping[str, int] | None = None,
        at: OutputCopy | None = None,
    ) -> None:
        self._labeller, self._every, self._folder = labeller, every, folder
        self._output, self._keep_empty_frames, self._at = output, keep_empty_frames, at
        identity = json.dumps(labeller.identity(), sort_keys=True).encode()
        self.facts = {
            "SAM": labeller.sam.sha256[:_HASH_SHOWN],
            "model": hashlib.sha256(identity).hexdigest()[:_HASH_SHOWN],
        }
        of_sam = (f"{labeller.sam.name}: {words}" for words in notes_with_trained_model(labeller.sam))
        self.notes = (*of_sam, *labeller.notes)
        self._table = PieceTable(folder, labeller.instances, ends)
        check_identity(folder, identity_of(labeller, output, keep_empty_frames, every))
        self._claims = prediction_claims(folder)

    @cached_property
    def _target(self) -> PredictionFolder:
        """The output folder, opened with the first images because opening records the model in it."""
        return PredictionFolder(
            self._folder, self._labeller, self._output, self._keep_empty_frames, self._every, self._table, self._at
        )

    def do(self, items: Sequence[Piece], again: bool) -> WorkReport:
        """Predict a few images.

        Args:
            items: images with their logged states.
            again: whether other processes may have predicted some of the images in the meantime.

        Raises:
            PromiseError: if the folder cannot be written.
        """
        self._table.begin(items, again)
        target = self._target
        numbers = {piece.input.stem: number for number, piece in enumerate(items)}
        try:
            with self._claims.ending(), Helper() as helper:
                tick = Stage(silent, "predicting", len(items))
                run = PartRun(target, self._labeller, self._every, helper, self._table, self._claims, tick)
                for one, result in helper.ahead([piece.input for piece in items], run.read):
                    run.predict(numbers[one.stem], one, result)
                helper.wait()
        finally:
            target.sync()
        notes, target.notes = target.notes, []
        claimed = {numbers[stem]: str(holder) for stem, (_, holder) in run.left.items()}
        return WorkReport(
            run.predicted, run.already_there, dict(run.problems), claimed, notes,
            common_notes=frozenset(target.without_effect.notes()) if run.predicted else None,
        )  # fmt: skip
