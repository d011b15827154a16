"""Predict one part of a list of images, while other processes predict other parts or the same part."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import Input
from promise_seg.images.own_folders import PREDICTION_PARTS
from promise_seg.monitoring.hooks import happened
from promise_seg.parallel.overlapping import DEPTH, Helper
from promise_seg.parallel.parts import Part
from promise_seg.prediction.folder_identity import identity_of
from promise_seg.prediction.folders import FolderRun, Outcome, PredictionFolder, ReadInput
from promise_seg.prediction.identity import check_identity
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.part_plan import PartPlan, in_order
from promise_seg.prediction.part_table import PartTable
from promise_seg.progress import Progress, Stage, silent
from promise_seg.storage.claims import Claims
from promise_seg.storage.holders import Holder
from promise_seg.storage.locks import STALE_SECONDS
from promise_seg.vocabulary import ItemOutcome, OutputFormat

_PAUSE_SECONDS = 2.0  # between two checks of images that other processes have claimed
_CLAIMED, _DONE = ReadInput("claimed by another process"), ReadInput("done by another process")


class PartRun(FolderRun):
    """A run over images, in which each image is claimed before it is predicted.

    Args:
        target: output folder.
        labeller: labeller that makes the predictions.
        every: step between the video frames that are predicted.
        helper: thread that reads and writes.
        table: table of the part.
        claims: claims of this process.
        tick: called for each image that is finished.
    """

    def __init__(
        self,
        target: PredictionFolder,
        labeller: Labeller,
        every: int,
        helper: Helper,
        table: PartTable,
        claims: Claims,
        tick: Stage,
    ) -> None:
        super().__init__(target, labeller, every, helper)
        self._table, self._claims, self._tick = table, claims, tick
        self.left: dict[str, tuple[Input, Holder]] = {}  # claimed by other processes, by stem

    def read(self, one: Input) -> ReadInput:
        """Claim an input, record the state of its files and read it, unless another process has claimed or done it."""
        holder = None if self._claims.is_held(one.stem) else self._claims.take(one.stem)
        if holder is not None:
            self.left[one.stem] = one, holder
            return _CLAIMED
        if self._table.is_done_meanwhile(one):
            return _DONE
        self._table.note_state(one)
        return super().read(one)

    def predict(self, number: int, one: Input, result: Callable[[], ReadInput]) -> None:
        """Predict one input, unless another process has claimed or done it."""
        try:
            read = result()
        except ImageError:
            read = None  # handled by the base class
        if read is _CLAIMED:
            return
        if read is _DONE:
            self._pass_over(one)
        else:
            super().predict(number, one, result)
        self._tick()

    def _pass_over(self, one: Input) -> None:
        """Count an input that another process has done, and release its claim."""
        self.already_there += 1
        self._tell_end(one, ItemOutcome.ALREADY_THERE)
        self._claims.give_back(one.stem)

    def settle(
        self,
        number: int,
        one: Input,
        problem: ImageError | None = None,
        outcome: ItemOutcome = ItemOutcome.ALREADY_THERE,
    ) -> None:
        """Log the problem, if any, or that the input is unchanged, and release the claim."""
        super().settle(number, one, problem, outcome)
        if problem is None:
            self._table.note_unchanged(one)
        else:
            self._table.note_problem(one, str(problem))
        self._claims.give_back(one.stem)

    def take_of_left(self) -> list[Input]:
        """Claim a few of the inputs that were claimed by processes that have ended or were killed since."""
        taken: list[Input] = []
        for one, _ in list(self.left.values()):
            if len(taken) > DEPTH:
                break
            if (holder := self._claims.take(one.stem)) is not None:
                self.left[one.stem] = one, holder
                continue
            del self.left[one.stem]
            if self._table.is_done_meanwhile(one):
                self._pass_over(one)
                self._tick()
            else:
                taken.append(one)
        return taken


def prediction_claims(folder: Path) -> Claims:
    """Return the claims of this process on images of a folder of predictions."""
    return Claims(folder / PREDICTION_PARTS / "claims")


def predict_part(
    labeller: Labeller,
    inputs: Sequence[Input],
    folder: str | Path,
    output: OutputFormat = OutputFormat.AUTO,
    progress: Progress = silent,
    *,
    part: Part,
    note: Callable[[str], object] = str,
    keep_empty_frames: bool = False,
    every: int = 1,
    at: OutputCopy | None = None,
) -> Outcome:
    """Predict the missing images of a part, then wait for images that other processes have claimed.

    ``predictions.csv`` is not written: the lines stay in the log of this process until the parts are merged.

    Args:
        labeller: labeller that makes the predictions.
        inputs: all images of all parts.
        folder: output folder that all processes share.
        output: format of the masks.
        progress: called for each missing image of the part.
        part: part of this process.
        note: called with messages: the size of the part, and the processes that it waits for.
        keep_empty_frames, every: see :func:`~promise_seg.prediction.folders.predict_folder`.
        at: address that the folder is a local copy of, if any; claims are then invisible to other processes.

    Raises:
        PromiseError: if the folder holds predictions for another list of images, model or version, or cannot be
            written.
    """
    folder, inputs = Path(folder), in_order(inputs)
    check_identity(folder, identity_of(labeller, output, keep_empty_frames, every))
    plan = PartPlan.of(inputs)
    plan.begin(folder, inputs)
    if at is not None:
        at.share_plan(plan, inputs)
    table = PartTable(folder, part, inputs, labeller.instances)
    target = PredictionFolder(folder, labeller, output, keep_empty_frames, every, table, at)
    of_part, claims = len(table.inputs), prediction_claims(folder)
    missing = table.missing()
    note(f"{part.words}: {of_part:,} of {len(inputs):,} images, {len(missing):,} of them to be predicted")
    happened("part", part=str(part), images=len(inputs), images_of_part=of_part, missing=len(missing))
    tick = Stage(progress, "predicting", len(missing))
    try:
        with claims.ending(), Helper() as helper:
            run = PartRun(target, labeller, every, helper, table, claims, tick)
            todo: Sequence[Input] = missing
            while todo:
                for one, result in helper.ahead(todo, run.read):
                    run.predict(table.number(one), one, result)
                    if at is not None:
                        at.share_logs_now_and_then()
                helper.wait()
                todo = _next_of_left(run, note)
    finally:
        target.sync()
    return _outcome(run, target, part, of_part - len(missing))


def _outcome(run: PartRun, target: PredictionFolder, part: Part, done_before: int) -> Outcome:
    """Return the outcome of a part; notes on options without effect name the part, as other parts may differ."""
    problems = [run.problems[number] for number in sorted(run.problems)]
    outcome = Outcome(run.predicted, done_before + run.already_there, problems, target.notes)
    where = f"{part.words}: " if part.count > 1 else ""
    return replace(outcome, notes=[*outcome.notes, *(where + words for words in target.notes_on_options(outcome))])


def _next_of_left(run: PartRun, note: Callable[[str], object]) -> list[Input]:
    """Wait until inputs that other processes had claimed are free, and return them; empty if all are done."""
    taken, has_told = run.take_of_left(), False
    while run.left and not taken:
        if not has_told:
            holder = next(iter(run.left.values()))[1]
            note(
                f"waiting for {len(run.left):,} images that other processes have claimed, such as {holder}; claims of "
                f"dead processes are taken over within {STALE_SECONDS / 60:.0f} minutes"
            )
            has_told = True
        _pause()
        taken = run.take_of_left()
    return taken


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)
