"""Predict one part of a list of images, beside other processes that predict other parts, or the same one."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from promise_seg.claims import Claims
from promise_seg.errors import ImageError
from promise_seg.holders import Holder
from promise_seg.images.exports.inputs import Input
from promise_seg.images.own_folders import PREDICTION_PARTS
from promise_seg.locks import STALE_SECONDS
from promise_seg.monitoring.hooks import happened
from promise_seg.overlapping import DEPTH, Helper
from promise_seg.parts import Part
from promise_seg.prediction.folders import FolderRun, Outcome, PredictionFolder, ReadInput, identity_of
from promise_seg.prediction.identity import check_identity
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.part_plan import PartPlan, in_order
from promise_seg.prediction.part_table import PartTable
from promise_seg.progress import Progress, Stage, silent
from promise_seg.vocabulary import ItemOutcome, OutputFormat

_PAUSE_SECONDS = 2.0  # between two looks at images that others have claimed
_CLAIMED, _DONE = ReadInput("claimed by another process"), ReadInput("done by another process")


class PartRun(FolderRun):
    """One pass over images, each of which is claimed before it is predicted.

    Args:
        target: the folder.
        labeller: predicts.
        every: which frames of videos are predicted.
        helper: reads and writes.
        table: of the part.
        claims: of this process.
        tick: called for each image of which nothing is left to do.
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
        self.left: dict[str, tuple[Input, Holder]] = {}  # to others that claimed them, by stem

    def read(self, one: Input) -> ReadInput:
        """Claim an input and read it, and before it the state of its files, unless another process does or did that."""
        holder = None if self._claims.is_held(one.stem) else self._claims.take(one.stem)
        if holder is not None:
            self.left[one.stem] = one, holder
            return _CLAIMED
        if self._table.is_done_meanwhile(one):
            return _DONE
        self._table.note_state(one)
        return super().read(one)

    def predict(self, number: int, one: Input, result: Callable[[], ReadInput]) -> None:
        """Predict one input unless another process does, or has done it."""
        try:
            read = result()
        except ImageError:
            read = None  # which is dealt with as everywhere
        if read is _CLAIMED:
            return
        if read is _DONE:
            self._pass_over(one)
        else:
            super().predict(number, one, result)
        self._tick()

    def _pass_over(self, one: Input) -> None:
        """Count an input that is claimed now, and that another process has done; its claim is ended."""
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
        """Log a problem, or that the content is the old one, and end the claim."""
        super().settle(number, one, problem, outcome)
        if problem is None:
            self._table.note_unchanged(one)
        else:
            self._table.note_problem(one, str(problem))
        self._claims.give_back(one.stem)

    def take_of_left(self) -> list[Input]:
        """Claim a few of the inputs that others had claimed, and whose processes ended or were killed since."""
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


def claims_in(folder: Path) -> Claims:
    """Return the claims of this process on images that are predicted into a folder."""
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
    """Predict the images of a part that no process has predicted yet; then wait for those that others have claimed.

    ``predictions.csv`` is not written: the lines are in a log of this process until the parts are merged.

    Args:
        labeller: predicts.
        inputs: all images of all parts.
        folder: that all processes share.
        output: the format of masks.
        progress: told of each image of the part.
        part: of this process.
        note: told which part this is, and whom it waits for.
        keep_empty_frames, every: as of :func:`~promise_seg.prediction.folders.predict_folder`.
        at: the address that the folder is a copy of; then no other process sees claims.

    Raises:
        PromiseError: if other images, another model or another version are predicted in the folder, or it cannot be
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
    of_part, claims = len(table.inputs), claims_in(folder)
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
    problems = [run.problems[number] for number in sorted(run.problems)]
    return Outcome(run.predicted, of_part - len(missing) + run.already_there, problems, target.notes)


def _next_of_left(run: PartRun, note: Callable[[str], object]) -> list[Input]:
    """Wait until some of the inputs that others have claimed are free; none if all of them are done."""
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
