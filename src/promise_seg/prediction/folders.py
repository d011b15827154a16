"""Predict labels for files and folders of images, with a safe restart."""

import csv
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
from PIL import Image

from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.files import Sync, sync_folder, write_text, write_whole
from promise_seg.images.exports.inputs import Input, key_of
from promise_seg.images.formats.limits import check_frames_together
from promise_seg.images.guarding import guarded
from promise_seg.images.own_folders import PREDICTION_COCO, PREDICTION_IDENTITY, PREDICTION_TABLE
from promise_seg.images.reading import Reading
from promise_seg.images.sheets import OUTLINE_COLOURS, contact_sheet
from promise_seg.locks import in_turn
from promise_seg.prediction.labelling import Labelled, LabelledSlice, Labeller, Origin
from promise_seg.prediction.outputs.formats import WRITERS, formats_for, writer_of
from promise_seg.prediction.outputs.rle import write_coco
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.progress import Progress, counted, silent
from promise_seg.sealed import read_sealed, write_sealed
from promise_seg.strays import LONGEST_NAME
from promise_seg.vocabulary import OutputFormat

COLUMNS = (
    "image", "slice", "class", "mask", "width", "height", "area_pixels", "area_share", "predicted_iou", "trust",
    "nothing_here", "points", "boxes", "image_sha256",
)  # fmt: skip
_FIRST_COLUMNS = ("image", "mask", "image_sha256")
"""The columns of a table that are needed to go on with it; others came later."""
_SAVE_SECONDS = 5.0
_SHEET_SLICES = 12


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run over a folder.

    ``problems`` has a line for each image that could not be read or written, ``notes`` one for each that could not be
    written in the format of its kind, was read otherwise than its file says, or whose file is not the same to all
    programs.
    """

    predicted: int
    already_there: int
    problems: list[str]
    notes: list[str]


class PredictionFolder:
    """The output of one model: ``masks/``, ``overlays/`` and ``predictions.csv`` in a folder.

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
    ) -> None:
        self.folder, self.format, self._reading = Path(folder), output, labeller.reading
        self._keep_empty_frames = keep_empty_frames
        identity = labeller.identity() | {"format": str(output)}
        if keep_empty_frames:  # so that folders without them stay as they were
            identity["keep_empty_frames"] = True
        if every > 1:
            identity["every"] = every
        with in_turn(self.folder / PREDICTION_IDENTITY):
            self._check_identity(identity)
        self._lines: dict[str, list[dict[str, str]]] = self._read_table()
        self._owners = {_stem(lines[0]["mask"]): key for key, lines in self._lines.items()}
        self._changed: set[str] = set()  # what this process put into the table, or took out of it
        self._unsynced: set[Path] = set()  # folders with new files
        self.notes: list[str] = []
        self._saved_at = time.monotonic()

    def _check_identity(self, identity: dict[str, object]) -> None:
        """Refuse a folder with other predictions, or note what a new one holds."""
        path = self.folder / PREDICTION_IDENTITY
        if path.exists():
            try:
                known = read_sealed(path)
            except (OSError, ValueError) as error:
                raise PromiseError(f"{path}: cannot be read: {error}. Choose another -o folder") from error
            if known != identity:
                what = "of another model"
                if known | {"format": identity["format"]} == identity:
                    what = "in another format"
                elif _without(known, "keep_empty_frames") == _without(identity, "keep_empty_frames"):
                    what = "with empty frames" if "keep_empty_frames" in known else "without empty frames"
                elif _without(known, "every") == _without(identity, "every"):
                    what = f"of videos with --every {known.get('every', 1)}"
                elif known | {"names": identity["names"]} == identity:
                    what = "under another --name"
                elif _without(known, "trust_sha256") == _without(identity, "trust_sha256"):
                    what = "with other trust scores: the model was calibrated, or its calibration lost, since"
                raise PromiseError(f"{self.folder}: contains predictions {what}. Choose another -o folder")
        else:
            write_sealed(path, identity)

    def _read_table(self) -> dict[str, list[dict[str, str]]]:
        path, lines = self.folder / PREDICTION_TABLE, dict[str, list[dict[str, str]]]()
        if path.exists():
            try:
                with path.open(newline="", encoding="utf-8") as file:
                    for line in csv.DictReader(file):
                        lines.setdefault(key_of(line["image"]), []).append(_complete(line))
            except (ValueError, KeyError, csv.Error) as error:
                raise PromiseError(
                    f"{path}: cannot be read: {first_line(error)}. It was changed by another program; choose another "
                    "-o folder, or remove it to predict all images again"
                ) from error
        return lines

    def overlay_path(self, stem: str) -> Path:
        """Return where the overlay of the input with a stem is."""
        return self.folder / "overlays" / f"{stem}.png"

    def has(self, one: Input, sha256: str) -> bool:
        """Whether this very image was predicted and everything about it was written.

        An image that was moved together with its folder is known by its place in it.
        """
        key = one.key if one.key in self._lines else self._owners.get(one.stem, one.key)
        lines = self._lines.get(key, [])
        if not lines or any(line["image_sha256"] != sha256 for line in lines):
            return False
        mask = lines[0]["mask"]
        if not (self.folder / mask).exists() or not self.overlay_path(_stem(mask)).exists():
            return False
        if key != one.key:
            self._put(one, [line | {"image": one.name} for line in self._take_out(key)])
        return True

    def add(self, one: Input, sha256: str, labelled: Labelled) -> None:
        """Write the labels of a picture or volume, their overlay and their lines of the table.

        Raises:
            ImageError: if it cannot be written in the format that is wanted, or another image has its place.
        """
        path = self._write(one, labelled)
        self.notes += labelled.source.notes
        overlay = Image.fromarray(_overlay(labelled, self._reading))
        drawn = self.overlay_path(one.stem)
        write_whole(drawn, lambda p: overlay.save(p), Sync.FILE)
        above = {folder for file in (path, drawn) for folder in file.parents}
        self._unsynced |= {folder for folder in above if self.folder in folder.parents}
        facts = {"image": one.name, "mask": path.relative_to(self.folder).as_posix(), "image_sha256": sha256}
        self._put(one, [facts | line for index in range(len(labelled.slices)) for line in _lines_of(labelled, index)])
        if labelled.source.incomplete is not None:
            self.notes.append(f"{one.path}: {labelled.source.incomplete}")
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self.save_table()

    def check_place(self, one: Input, sha256: str) -> None:
        """Refuse an image whose mask would take the place of another's; the same image from elsewhere may.

        Raises:
            ImageError: naming the other.
        """
        self._check_folders(one)
        owner = self._owners.get(one.stem, one.key)
        if owner == one.key:
            return
        other = self._lines[owner][0]
        if other["image_sha256"] != sha256:
            raise ImageError(
                f"{one.name}: its place, masks/{one.stem}, is taken by {other['image']}. Predict it into another "
                "folder, or rename one of them"
            )
        self._take_out(owner)

    def _put(self, one: Input, lines: list[dict[str, str]]) -> None:
        self._lines[one.key], self._owners[one.stem] = lines, one.key
        self._changed.add(one.key)

    def _take_out(self, key: str) -> list[dict[str, str]]:
        self._changed.add(key)
        return self._lines.pop(key)

    def _check_folders(self, one: Input) -> None:
        """Refuse an image whose folder would be a file, or the folder of a volume's slices."""
        for above in map(str, PurePosixPath(one.stem).parents):
            owner = self._owners.get(above)
            is_file = any((self.folder / kind / above).is_file() for kind in ("masks", "overlays"))
            if is_file or (owner is not None and (self.folder / self._lines[owner][0]["mask"]).is_dir()):
                name = above if owner is None else self._lines[owner][0]["image"]
                raise ImageError(
                    f"{one.name}: its place, masks/{one.stem}, is in the folder masks/{above}, which is taken by "
                    f"{name}. Predict it into another folder, or rename one of them"
                )

    def _check_slices(self, one: Input) -> None:
        """Refuse a volume whose folder of slices would take the place of the masks of other images."""
        inside = next((stem for stem in self._owners if stem.startswith(f"{one.stem}/")), None)
        if inside is not None:
            raise ImageError(
                f"{one.name}: the folder of its slices, masks/{one.stem}, is taken by the masks of images such as "
                f"{self._lines[self._owners[inside]][0]['image']}. Choose another --format, or predict it into another "
                "folder"
            )

    def _write(self, one: Input, labelled: Labelled) -> Path:
        formats = formats_for(labelled.source, self.format)
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
                break
        return path if path.exists() else path.with_suffix("")  # a folder with a file for each slice

    def save_table(self) -> None:
        """Write ``predictions.csv`` with all that is known so far, whole or not at all.

        Lines that another process added meanwhile are kept. Masks and overlays are on the disk before the table is.
        """
        while self._unsynced:
            sync_folder(self._unsynced.pop())
        with in_turn(self.folder / PREDICTION_TABLE):
            for key, lines in self._read_table().items():
                if key not in self._changed and lines:
                    self._lines[key], self._owners[_stem(lines[0]["mask"])] = lines, key
            self._write_table()
        self._saved_at = time.monotonic()

    def _write_table(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for image in sorted(self._lines):
            writer.writerows(self._lines[image])
        write_text(self.folder / PREDICTION_TABLE, text.getvalue())

    def finish(self) -> None:
        """Write what is about all images."""
        self.save_table()
        if self.format == OutputFormat.COCO:
            masks = {self.folder / lines[0]["mask"] for lines in self._lines.values()}
            write_coco(sorted(path for path in masks if path.exists()), self.folder / PREDICTION_COCO)


def _complete(line: dict[str, str | None]) -> dict[str, str]:
    """Return a line of a table with all columns that there are today.

    Raises:
        KeyError: if it lacks one that tables always had.
    """
    return {name: line[name] or "" for name in _FIRST_COLUMNS} | {
        name: line.get(name) or "" for name in COLUMNS if name not in _FIRST_COLUMNS
    }


def _without(identity: dict[str, object], name: str) -> dict[str, object]:
    return {other: value for other, value in identity.items() if other != name}


def _stem(mask: str) -> str:
    """Return the stem of the input that a mask of the table belongs to."""
    suffixes = sorted((writer.suffix for writer in WRITERS.values()), key=len, reverse=True)
    name = PurePath(mask).as_posix().removeprefix("masks/")
    return name.removesuffix(next((suffix for suffix in suffixes if name.endswith(suffix)), ""))


def _lines_of(labelled: Labelled, index: int) -> list[dict[str, str]]:
    """Return the table lines of one slice, one per label."""
    one = labelled.slices[index]
    height, width = one.labels.shape
    lines = []
    for label, origin in one.origins.items():
        area = int(np.count_nonzero(one.labels == label))
        lines.append(
            {
                "slice": str(labelled.source.number_of(index)) if labelled.source.is_volume else "",
                "class": "" if labelled.is_binary else str(label),
                "width": str(width),
                "height": str(height),
                "area_pixels": str(area),
                "area_share": f"{area / (height * width):.6f}",
                "predicted_iou": f"{origin.predicted_iou:.4f}",
                "trust": "" if origin.trust is None else f"{origin.trust.score:.4f}",
                "nothing_here": "" if origin.trust is None else str(int(origin.trust.nothing_here)),
                "points": json.dumps(_points(origin)),
                "boxes": _boxes(origin),
            }
        )
    return lines


def _points(origin: Origin) -> list[list[float]]:
    return [
        [round(float(x), 1), round(float(y), 1), int(label)]
        for (x, y), label in zip(origin.points_xy_image, origin.point_labels, strict=True)
    ]


def _boxes(origin: Origin) -> str:
    boxes = origin.boxes_xyxy_image
    return json.dumps([[round(float(edge), 1) for edge in box] for box in boxes]) if len(boxes) else ""


def _overlay(labelled: Labelled, reading: Reading) -> np.ndarray:
    """The picture with its labels; of a volume some slices, evenly over those in which there is something."""
    if not labelled.source.is_volume:
        return _draw(reading.rgb(labelled.source, 0), labelled.slices[0])
    filled = [i for i, one in enumerate(labelled.slices) if one.labels.any()] or list(range(len(labelled.slices)))
    chosen = sorted({filled[round(i)] for i in np.linspace(0, len(filled) - 1, min(_SHEET_SLICES, len(filled)))})
    tiles = [_draw(reading.rgb(labelled.source, i), labelled.slices[i]) for i in chosen]
    return contact_sheet(tiles, [f"slice {labelled.source.number_of(i)}" for i in chosen])


def _draw(image: np.ndarray, one: LabelledSlice) -> np.ndarray:
    for number, (label, origin) in enumerate(one.origins.items()):
        colour = OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)]
        image = draw_overlay(
            image, one.labels == label, origin.points_xy_image, origin.point_labels, origin.boxes_xyxy_image, colour
        )
    return image


def predict_one(one: Input, labeller: Labeller, every: int = 1) -> Labelled:
    """Predict the labels of one picture or volume: the unit of work that a loop, processes or a cluster can map.

    It depends on its arguments alone, and writes nothing. Of a video, every Nth frame is predicted.

    Raises:
        ImageError: if it cannot be read, or has too many frames.
    """
    source = one.open(labeller.reading.axis)
    if source.is_in_time:
        source = source.thinned(every)
        height, width = source.values(0).shape[:2]
        check_frames_together(source.path, (len(source), height, width))
    return labeller.label(labeller.reading.opened(source))


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

    Of videos, every Nth frame is predicted.

    An image that cannot be read or written does not stop the others. Whatever ends the run, the table holds all that
    was finished.

    Raises:
        PromiseError: if the folder holds another model's predictions or cannot be written.
    """
    target = PredictionFolder(folder, labeller, output, keep_empty_frames, every)
    predicted = already_there = 0
    problems: list[str] = []
    try:
        for one in counted(inputs, progress, "predicting"):
            try:
                with guarded(one.name, "predicted"):
                    sha256 = one.sha256()
                    if target.has(one, sha256):
                        already_there += 1
                    else:
                        target.check_place(one, sha256)
                        target.add(one, sha256, predict_one(one, labeller, every))
                        predicted += 1
            except ImageError as error:
                problems.append(str(error))
    finally:
        target.finish()
    return Outcome(predicted, already_there, problems, target.notes)
