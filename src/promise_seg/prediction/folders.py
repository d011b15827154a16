"""Predict labels for files and folders of images, with safe restarts."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import Input
from promise_seg.images.formats.limits import check_frames_together
from promise_seg.images.formats.source import Source
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.guarding import guarded
from promise_seg.images.own_folders import PREDICTION_COCO, PREDICTION_FOLDERS
from promise_seg.monitoring.hooks import item_ended, step
from promise_seg.parallel.overlapping import DEPTH, Helper
from promise_seg.prediction.folder_identity import FolderIdentity, identity_of
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.objects_table import join_objects, objects_path, write_objects
from promise_seg.prediction.options_without_effect import OptionsWithoutEffect
from promise_seg.prediction.output_copies import OutputCopy
from promise_seg.prediction.outputs.formats import formats_for, writer_of
from promise_seg.prediction.outputs.rle import write_coco
from promise_seg.prediction.overlay import COMPRESSION, overlay_path
from promise_seg.prediction.overlay_of_labels import draw_labelled
from promise_seg.prediction.table import ImageTable, PredictionTable, lines_of, stem_of_lines
from promise_seg.progress import Progress, Stage, silent
from promise_seg.storage.files import Sync, sync_folder, write_whole
from promise_seg.storage.strays import LONGEST_NAME
from promise_seg.vocabulary import ItemOutcome, OutputFormat, WorkStep


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run over a folder.

    ``problems`` has a line for each input that could not be read or written. ``notes`` has lines on other formats that
    were written, files that were not read as they state, outputs that programs read differently, and unused options.
    """

    predicted: int
    already_there: int
    problems: list[str]
    notes: list[str]


class PredictionFolder:
    """The output folder of one model, with ``masks/``, ``overlays/`` and ``predictions.csv``.

    If ``at`` is given, the folder is the local copy of that address in an object store. See :func:`predict_folder` for
    the other arguments.

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
        self._identity = FolderIdentity(self.folder, identity)
        if at is not None:
            at.share_identity(identity)
        self._table: ImageTable = table or PredictionTable(self.folder)
        self._unsynced: set[Path] = set()  # folders with new files
        self.notes: list[str] = []

    def has(self, one: Input, sha256: str) -> bool:
        """Whether this image was predicted and all its outputs were written.

        An image that was moved together with its folder is recognised by its place in the folder, and the table is
        updated with its new name.
        """
        key = self._key_of(one)
        if not self.seems_to_have(one, sha256):
            return False
        if key != one.key:
            self._table.put(one.key, [line | {"image": one.name} for line in self._table.take_out(key)])
        return True

    def seems_to_have(self, one: Input, sha256: str) -> bool:
        """Whether this image was predicted and all its outputs exist, without updating the table."""
        lines = self._table.lines(self._key_of(one))
        if not lines or any(line["image_sha256"] != sha256 for line in lines):
            return False
        mask = lines[0]["mask"]
        stem = stem_of_lines(lines, self.folder)
        others = [overlay_path(self.folder, stem), *([objects_path(self.folder, stem)] if self._instances else [])]
        return (self.folder / mask).exists() and all(path.exists() for path in others)

    def _key_of(self, one: Input) -> str:
        return one.key if self._table.lines(one.key) else self._table.owner(one.stem) or one.key

    def add(self, one: Input, sha256: str, labelled: Labelled) -> None:
        """Write the labels of an image or volume, their overlay and their lines of the table.

        Raises:
            ImageError: if the labels cannot be written in the requested format, or their place is taken.
        """
        formats = formats_for(labelled.source, self.format, self._instances)
        of_segmentation = OutputFormat.DICOM_SEG in formats
        self._identity.confirm(of_slices=labelled.source.is_volume, of_segmentation=of_segmentation)
        path = self._write(one, labelled, formats)
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
        with self._identity.recording(lines):
            self._table.put(one.key, lines)
        if labelled.source.incomplete is not None:
            self.notes.append(f"{one.path}: {labelled.source.incomplete}")
        if self._table.is_due:
            self.save_table()

    def _keep(self, written: Sequence[Path]) -> None:
        """Upload new files to the address, or mark the folders that have to be synced to disk."""
        if self._at is not None:
            self._at.keep(written)
            return
        above = {folder for file in written for folder in file.parents}
        self._unsynced |= {folder for folder in above if self.folder in folder.parents}

    def mask_of(self, stem: str) -> str | None:
        """Return the path of an input's mask, relative to this folder; ``None`` if it has none."""
        lines = self._table.lines(self._table.owner(stem) or "")
        return lines[0]["mask"] if lines and (self.folder / lines[0]["mask"]).exists() else None

    def check_place(self, one: Input, sha256: str) -> None:
        """Check that an image's mask would not overwrite that of a different image; a copy at another path may.

        Raises:
            ImageError: if the place is taken, with the name of the image that has it.
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
        """Check that no parent folder of a mask is a file, or the folder of a volume's slices."""
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
        """Check that a volume's folder of slices would not hold the masks of other images."""
        inside = self._table.first_below(one.stem)
        if inside is not None:
            raise ImageError(
                f"{one.name}: the folder of its slices, masks/{one.stem}, is taken by the masks of images such as "
                f"{self._table.image_of(inside)}. Choose another --format, or predict it into another folder"
            )

    def _write(self, one: Input, labelled: Labelled, formats: Sequence[OutputFormat]) -> Path:
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
            path.unlink(missing_ok=True)  # left over if the same input was a single image before
        return path.with_suffix("")  # a folder with a file for each slice

    def save_table(self) -> None:
        """Write ``predictions.csv`` atomically with all predictions so far.

        Lines that another process added in the meantime are kept. Masks and overlays are synced to disk before.
        """
        self.sync()
        self._table.save()

    def sync(self) -> None:
        """Sync the folders of new masks and overlays to disk, or upload new log lines to the address."""
        while self._unsynced:
            sync_folder(self._unsynced.pop())
        if self._at is not None:
            self._at.share_logs()

    def notes_on_options(self, outcome: Outcome) -> list[str]:
        """Return a note on each option that had no effect; none if the kind of some inputs is unknown."""
        return [] if outcome.already_there or outcome.problems else self.without_effect.notes()

    def end_if_empty(self) -> None:
        """Remove the recorded identity if nothing was predicted, so that the folder can be used with other options."""
        if not self._table.all_lines():
            self._identity.remove_if_empty()

    def finish(self) -> None:
        """Write the files that cover all images: the table, COCO JSON and ``objects.csv``."""
        self.save_table()
        if self.format == OutputFormat.COCO:
            masks = {self.folder / lines[0]["mask"] for lines in self._table.all_lines()}
            write_coco(sorted(path for path in masks if path.exists()), self.folder / PREDICTION_COCO)
        if self._instances:
            lines_of_all = self._table.all_lines()
            names = sorted((stem_of_lines(lines, self.folder), lines[0]["image"]) for lines in lines_of_all)
            tables = [(objects_path(self.folder, stem), image) for stem, image in names]
            join_objects([(path, image) for path, image in tables if path.exists()], self.folder)


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
    """A hashed input; with its opened file and, for a single image, its pixels, unless it was predicted before."""

    sha256: str
    source: Source | None = None
    framed: ImageInFrame | None = None


class FolderRun:
    """One call of :func:`predict_folder`, in which another thread reads the next input and writes the last one."""

    def __init__(self, target: PredictionFolder, labeller: Labeller, every: int, helper: Helper) -> None:
        self._target, self._labeller, self._every, self._helper = target, labeller, every, helper
        self._waiting: deque[Input] = deque(maxlen=DEPTH)  # to be written
        self._begun: dict[str, float] = {}  # time when reading began, by stem
        self.predicted = self.already_there = 0
        self.problems: dict[int, str] = {}

    def read(self, one: Input) -> ReadInput:
        """Hash an input, and read it unless its predictions exist; slices of a volume are read later."""
        self._begun[one.stem] = time.monotonic()
        with guarded(one.name, "predicted"), step(WorkStep.READ, one.stem):
            sha256 = one.sha256()
            if self._target.seems_to_have(one, sha256):
                return ReadInput(sha256)
            source = _opened(one, self._labeller, self._every)
            later = source.is_volume or self._labeller.reads_windows(source)
            return ReadInput(sha256, source, None if later else self._labeller.frame(source, 0))

    def predict(self, number: int, one: Input, result: Callable[[], ReadInput]) -> None:
        """Predict one input unless its predictions exist, and queue the result for writing."""
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
        """Record that an input is finished, and the problem with it, if any."""
        if problem is not None:
            self.problems[number], outcome = str(problem), ItemOutcome.FAILED
        self._tell_end(one, outcome, problem)

    def _tell_end(self, one: Input, outcome: ItemOutcome, problem: ImageError | None = None) -> None:
        """Report the outcome of an input to the monitoring hooks, with the seconds since reading began."""
        begun = self._begun.pop(one.stem, None)
        item_ended("predict", one.stem, outcome, None if begun is None else time.monotonic() - begun, problem)


def _share_a_place(one: Input, other: Input) -> bool:
    """Whether two inputs have the same output, or the output of one is inside that of the other."""
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
    """Predict labels for images and volumes into a folder; existing predictions are kept.

    While one input is predicted, another thread reads the next input and writes the last one. An image that cannot be
    read or written does not stop the run. If the run is interrupted, the table holds all inputs that were finished.

    With ``keep_empty_frames``, DICOM segmentations have a frame for each slice. ``every`` is the step between the video
    frames that are predicted.

    Raises:
        PromiseError: if the folder holds another model's predictions or cannot be written.
    """
    target = PredictionFolder(folder, labeller, output, keep_empty_frames, every)
    try:
        outcome = predict_into(target, labeller, inputs, progress, every)
    finally:
        target.finish()
        target.end_if_empty()
    return replace(outcome, notes=[*outcome.notes, *target.notes_on_options(outcome)])


def predict_into(
    target: PredictionFolder, labeller: Labeller, inputs: Sequence[Input], progress: Progress = silent, every: int = 1
) -> Outcome:
    """Predict into a folder that is already open; the caller has to call its ``finish`` afterwards.

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
