"""Predict labels for files and folders of images, with a safe restart."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.files import Sync, sync_folder, write_whole
from promise_seg.images.exports.inputs import Input
from promise_seg.images.formats.limits import check_frames_together
from promise_seg.images.formats.source import Source
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.guarding import guarded
from promise_seg.images.own_folders import PREDICTION_COCO, PREDICTION_FOLDERS
from promise_seg.monitoring.hooks import item_ended, step
from promise_seg.overlapping import DEPTH, Helper
from promise_seg.prediction.identity import keep_identity
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.objects_table import join_objects, objects_path, write_objects
from promise_seg.prediction.options_without_effect import OptionsWithoutEffect
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.outputs.formats import formats_for, writer_of
from promise_seg.prediction.outputs.rle import write_coco
from promise_seg.prediction.overlay import COMPRESSION, overlay_path
from promise_seg.prediction.overlay_of_labels import draw_labelled
from promise_seg.prediction.table import ImageTable, PredictionTable, lines_of, stem_of
from promise_seg.progress import Progress, Stage, silent
from promise_seg.strays import LONGEST_NAME
from promise_seg.vocabulary import ItemOutcome, OutputFormat, WorkStep


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run over a folder.

    ``problems`` has a line for each image that could not be read or written, ``notes`` one for each that could not be
    written in the format of its kind, was read otherwise than its file says, or whose file is not the same to all
    programs, and one for each option that had no effect on any input.
    """

    predicted: int
    already_there: int
    problems: list[str]
    notes: list[str]


class PredictionFolder:
    """The output of one model: ``masks/``, ``overlays/`` and ``predictions.csv`` in a folder.

    ``at`` is the address that the folder is a copy of, if it is one.

    Raises:
        PromiseError: if the folder holds predictions of another model, or in another format.
    """

    def __init__(
        self,
        folder: str | Path,
        labeller: Labeller,
        output: OutputFormat = OutputFormat.AUTO,
        keep_empty_frames: bool = False,
        every: int = 1,
        table: ImageTable | None = None,
        at: OutputCopy | None = None,
    ) -> None:
        self.folder, self.format, self._reading = Path(folder), output, labeller.reading
        self._keep_empty_frames, self._instances, self._at = keep_empty_frames, labeller.instances, at
        self.without_effect = OptionsWithoutEffect(labeller, keep_empty_frames, every)
        identity = identity_of(labeller, output, keep_empty_frames, every)
        keep_identity(self.folder, identity)
        if at is not None:
            at.share_identity(identity)
        self._table: ImageTable = table or PredictionTable(self.folder)
        self._unsynced: set[Path] = set()  # folders with new files
        self.notes: list[str] = []

    def has(self, one: Input, sha256: str) -> bool:
        """Whether this very image was predicted and everything about it was written.

        An image that was moved together with its folder is known by its place in it.
        """
        key = self._key_of(one)
        if not self.seems_to_have(one, sha256):
            return False
        if key != one.key:
            self._table.put(one.key, [line | {"image": one.name} for line in self._table.take_out(key)])
        return True

    def seems_to_have(self, one: Input, sha256: str) -> bool:
        """The same, without taking note of where the image is now."""
        lines = self._table.lines(self._key_of(one))
        if not lines or any(line["image_sha256"] != sha256 for line in lines):
            return False
        mask = lines[0]["mask"]
        stem = stem_of(mask)
        others = [overlay_path(self.folder, stem), *([objects_path(self.folder, stem)] if self._instances else [])]
        return (self.folder / mask).exists() and all(path.exists() for path in others)

    def _key_of(self, one: Input) -> str:
        return one.key if self._table.lines(one.key) else self._table.owner(one.stem) or one.key

    def add(self, one: Input, sha256: str, labelled: Labelled) -> None:
        """Write the labels of a picture or volume, their overlay and their lines of the table.

        Raises:
            ImageError: if it cannot be written in the format that is wanted, or another image has its place.
        """
        path = self._write(one, labelled)
        self.notes += [*labelled.source.notes, *labelled.notes]
        overlay = Image.fromarray(draw_labelled(labelled, self._reading))
        drawn = overlay_path(self.folder, one.stem)
        write_whole(drawn, lambda p: overlay.save(p, compress_level=COMPRESSION), Sync.FILE)
        written = [path, drawn]
        if self._instances:
            written.append(objects_path(self.folder, one.stem))
            write_objects(labelled, one.name, written[-1])
        self._keep(written)
        facts = {"image": one.name, "mask": path.relative_to(self.folder).as_posix(), "image_sha256": sha256}
        lines = [facts | line for index in range(len(labelled.slices)) for line in lines_of(labelled, index)]
        self._table.put(one.key, lines)
        if labelled.source.incomplete is not None:
            self.notes.append(f"{one.path}: {labelled.source.incomplete}")
        if self._table.is_due:
            self.save_table()

    def _keep(self, written: Sequence[Path]) -> None:
        """Put new files to the address, or take note of the folders that are to be brought to the disk."""
        if self._at is not None:
            self._at.keep(written)
            return
        above = {folder for file in written for folder in file.parents}
        self._unsynced |= {folder for folder in above if self.folder in folder.parents}

    def mask_of(self, stem: str) -> str | None:
        """Return the mask of the input with a stem, below this folder; None if it is not there or not in the table."""
        lines = self._table.lines(self._table.owner(stem) or "")
        return lines[0]["mask"] if lines and (self.folder / lines[0]["mask"]).exists() else None

    def check_place(self, one: Input, sha256: str) -> None:
        """Refuse an image whose mask would take the place of another's; the same image from elsewhere may.

        Raises:
            ImageError: naming the other.
        """
        self._check_folders(one)
        owner = self._table.owner(one.stem) or one.key
        if owner == one.key or not self._table.lines(owner):
            return
        other = self._table.lines(owner)[0]
        if other["image_sha256"] != sha256:
            raise ImageError(
                f"{one.name}: its place, masks/{one.stem}, is taken by {other['image']}. Predict it into another "
                "folder, or rename one of them"
            )
        self._table.take_out(owner)

    def _check_folders(self, one: Input) -> None:
        """Refuse an image whose folder would be a file, or the folder of a volume's slices."""
        for above in map(str, PurePosixPath(one.stem).parents):
            lines = self._table.lines(self._table.owner(above) or "")
            is_file = any((self.folder / kind / above).is_file() for kind in PREDICTION_FOLDERS)
            if is_file or (lines and (self.folder / lines[0]["mask"]).is_dir()):
                name = lines[0]["image"] if lines else above
                raise ImageError(
                    f"{one.name}: its place, masks/{one.stem}, is in the folder masks/{above}, which is taken by "
                    f"{name}. Predict it into another folder, or rename one of them"
                )

    def _check_slices(self, one: Input) -> None:
        """Refuse a volume whose folder of slices would take the place of the masks of other images."""
        inside = self._table.first_below(one.stem)
        if inside is not None:
            raise ImageError(
                f"{one.name}: the folder of its slices, masks/{one.stem}, is taken by the masks of images such as "
                f"{self._table.image_of(inside)}. Choose another --format, or predict it into another folder"
            )

    def _write(self, one: Input, labelled: Labelled) -> Path:
        formats = formats_for(labelled.source, self.format, self._instances)
        for number, output in enumerate(formats):
            writer = writer_of(output, self._keep_empty_frames)
            if output == OutputFormat.PNG and labelled.source.is_volume:
                self._check_slices(one)
            path = self.folder / "masks" / f"{one.stem}{writer.suffix}"
            if (too_many := len(os.fsencode(path.name)) - LONGEST_NAME) > 0:
                raise ImageError(
                    f"{one.name}: its name is too long for its mask, {path.name}, by {too_many} bytes. Rename it"
                )
            try:
                with guarded(one.name, f"written as {output}"):
                    note = writer.write(labelled, path)
            except ImageError as error:
                if number == len(formats) - 1:
                    raise
                self.notes.append(f"{error}; written as {formats[number + 1]}")
            else:
                self.notes += [note] if note else []
                self.without_effect.saw(labelled.source, output)
                break
        if output != OutputFormat.PNG or not labelled.source.is_volume:
            return path
        with guarded(one.name, f"written as {output}"):
            path.unlink(missing_ok=True)  # of the same input when it was a single picture
        return path.with_suffix("")  # a folder with a file for each slice

    def save_table(self) -> None:
        """Write ``predictions.csv`` with all that is known so far, whole or not at all.

        Lines that another process added meanwhile are kept. Masks and overlays are on the disk before the table is.
        """
        self.sync()
        self._table.save()

    def sync(self) -> None:
        """Bring the names of new masks and overlays to the disk, or the new lines of logs to the address."""
        while self._unsynced:
            sync_folder(self._unsynced.pop())
        if self._at is not None:
            self._at.share_logs()

    def finish(self) -> None:
        """Write what is about all images."""
        self.save_table()
        if self.format == OutputFormat.COCO:
            masks = {self.folder / lines[0]["mask"] for lines in self._table.all_lines()}
            write_coco(sorted(path for path in masks if path.exists()), self.folder / PREDICTION_COCO)
        if self._instances:
            names = sorted((stem_of(lines[0]["mask"]), lines[0]["image"]) for lines in self._table.all_lines())
            tables = [(objects_path(self.folder, stem), image) for stem, image in names]
            join_objects([(path, image) for path, image in tables if path.exists()], self.folder)


def identity_of(labeller: Labeller, output: OutputFormat, keep_empty_frames: bool, every: int) -> dict[str, object]:
    """Return by which model and with which options predictions are made."""
    identity = labeller.identity() | {"format": str(output)}
    if keep_empty_frames:  # so that folders without them stay as they were
        identity["keep_empty_frames"] = True
    if every > 1:
        identity["every"] = every
    return identity


def _opened(one: Input, labeller: Labeller, every: int) -> Source:
    slide = None if one.files else labeller.reading.slide(one.path)
    source = slide or one.open(labeller.reading.axis)
    if source.is_in_time:
        source = source.thinned(every)
        height, width = source.values(0).shape[:2]
        check_frames_together(source.path, (len(source), height, width))
    return labeller.reading.opened(source)


@dataclass(frozen=True)
class ReadInput:
    """An input whose bytes were hashed; its opened file and, of a picture, its pixels, unless it is there already."""

    sha256: str
    source: Source | None = None
    framed: ImageInFrame | None = None


class FolderRun:
    """One call of :func:`predict_folder`: another thread reads the next input and writes the last one."""

    def __init__(self, target: PredictionFolder, labeller: Labeller, every: int, helper: Helper) -> None:
        self._target, self._labeller, self._every, self._helper = target, labeller, every, helper
        self._waiting: deque[Input] = deque(maxlen=DEPTH)  # to be written
        self._begun: dict[str, float] = {}  # when reading was begun, by stem
        self.predicted = self.already_there = 0
        self.problems: dict[int, str] = {}

    def read(self, one: Input) -> ReadInput:
        """Read an input, as far as it is needed; slices of a volume are read later."""
        self._begun[one.stem] = time.monotonic()
        with guarded(one.name, "predicted"), step(WorkStep.READ, one.stem):
            sha256 = one.sha256()
            if self._target.seems_to_have(one, sha256):
                return ReadInput(sha256)
            source = _opened(one, self._labeller, self._every)
            later = source.is_volume or self._labeller.reads_windows(source)
            return ReadInput(sha256, source, None if later else self._labeller.frame(source, 0))

    def predict(self, number: int, one: Input, result: Callable[[], ReadInput]) -> None:
        """Predict one input unless it is there, and let it be written."""
        if any(_share_a_place(one, other) for other in self._waiting):
            self._helper.wait()
        try:
            read = result()
            with guarded(one.name, "predicted"):
                if self._target.has(one, read.sha256):
                    self.already_there += 1
                    self.settle(number, one)
                    return
                self._target.check_place(one, read.sha256)
                labelled = self._label(one, read)
        except ImageError as error:
            self.settle(number, one, error)
            return
        self._waiting.append(one)
        self._helper.write(partial(self._write, number, one, read.sha256, labelled))

    def _label(self, one: Input, read: ReadInput) -> Labelled:
        source = read.source or _opened(one, self._labeller, self._every)
        if read.framed is not None:
            return self._labeller.label(source, silent, [read.framed])
        if self._labeller.reads_windows(source):
            return self._labeller.label(source)
        slices = self._helper.ahead(range(len(source)), partial(self._labeller.frame, source))
        return self._labeller.label(source, silent, (framed() for _, framed in slices))

    def _write(self, number: int, one: Input, sha256: str, labelled: Labelled) -> None:
        try:
            with guarded(one.name, "predicted"), step(WorkStep.WRITE, one.stem):
                self._target.add(one, sha256, labelled)
        except ImageError as error:
            self.settle(number, one, error)
        else:
            self.predicted += 1
            self.settle(number, one, outcome=ItemOutcome.DONE)

    def settle(
        self,
        number: int,
        one: Input,
        problem: ImageError | None = None,
        outcome: ItemOutcome = ItemOutcome.ALREADY_THERE,
    ) -> None:
        """Take note that nothing more is done for an input, and of what went wrong with it."""
        if problem is not None:
            self.problems[number], outcome = str(problem), ItemOutcome.FAILED
        self._tell_end(one, outcome, problem)

    def _tell_end(self, one: Input, outcome: ItemOutcome, problem: ImageError | None = None) -> None:
        """Tell who listens what became of an input, and how long that took since it began to be read, if it did."""
        begun = self._begun.pop(one.stem, None)
        item_ended("predict", one.stem, outcome, None if begun is None else time.monotonic() - begun, problem)


def _share_a_place(one: Input, other: Input) -> bool:
    """Whether two inputs have the same output, or the output of one is in the folder of the other's."""
    return one.key == other.key or f"{one.stem}/".startswith(f"{other.stem}/") or other.stem.startswith(f"{one.stem}/")


def predict_folder(
    labeller: Labeller,
    inputs: Sequence[Input],
    folder: str | Path,
    output: OutputFormat = OutputFormat.AUTO,
    progress: Progress = silent,
    *,
    keep_empty_frames: bool = False,
    every: int = 1,
) -> Outcome:
    """Predict labels for pictures and volumes into a folder; what is already there is left as it is.

    Of videos, every Nth frame is predicted. While one input is predicted, another thread reads the next and writes the
    last.

    An image that cannot be read or written does not stop the others. Whatever ends the run, the table holds all that
    was finished.

    Raises:
        PromiseError: if the folder holds another model's predictions or cannot be written.
    """
    target = PredictionFolder(folder, labeller, output, keep_empty_frames, every)
    try:
        outcome = predict_into(target, labeller, inputs, progress, every)
    finally:
        target.finish()
    if outcome.already_there or outcome.problems:  # what kind of input these are is not known
        return outcome
    return replace(outcome, notes=[*outcome.notes, *target.without_effect.notes()])


def predict_into(
    target: PredictionFolder, labeller: Labeller, inputs: Sequence[Input], progress: Progress = silent, every: int = 1
) -> Outcome:
    """Predict into a folder that is open already, and leave it so: its table is written when it is finished.

    Raises:
        PromiseError: if the folder cannot be written.
    """
    tick = Stage(progress, "predicting", len(inputs))
    with Helper() as helper:
        run = FolderRun(target, labeller, every, helper)
        for number, (one, result) in enumerate(helper.ahead(inputs, run.read)):
            run.predict(number, one, result)
            tick()
    problems = [run.problems[number] for number in sorted(run.problems)]
    return Outcome(run.predicted, run.already_there, problems, target.notes)
