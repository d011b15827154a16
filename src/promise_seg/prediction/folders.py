"""Predict labels for files and folders of images, with a safe restart."""

import csv
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.files import LONGEST_NAME, write_json, write_text, write_whole
from promise_seg.images.exports.inputs import Input
from promise_seg.images.guarding import guarded
from promise_seg.images.reading import Reading
from promise_seg.images.sheets import OUTLINE_COLOURS, contact_sheet
from promise_seg.prediction.labelling import Labelled, LabelledSlice, Labeller, Origin
from promise_seg.prediction.outputs.formats import WRITERS, formats_for, writer_of
from promise_seg.prediction.outputs.rle import write_coco
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.progress import Progress, counted, silent
from promise_seg.vocabulary import OutputFormat

TABLE_FILE = "predictions.csv"
IDENTITY_FILE = "model.json"
COCO_FILE = "coco.json"
COLUMNS = (
    "image", "slice", "class", "mask", "width", "height", "area_pixels", "area_share", "predicted_iou", "trust",
    "nothing_here", "points", "boxes", "image_sha256",
)  # fmt: skip
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
    ) -> None:
        self.folder, self.format, self._reading = Path(folder), output, labeller.reading
        self._keep_empty_frames = keep_empty_frames
        identity = labeller.identity() | {"format": str(output)}
        if keep_empty_frames:  # so that folders without them stay as they were
            identity["keep_empty_frames"] = True
        path = self.folder / IDENTITY_FILE
        if path.exists():
            try:
                known = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise PromiseError(f"{path}: damaged: {error}. Choose another -o folder") from error
            if known != identity:
                what = "of another model"
                if known | {"format": str(output)} == identity:
                    what = "in another format"
                elif _without_frames(known) == _without_frames(identity):
                    what = "with empty frames" if "keep_empty_frames" in known else "without empty frames"
                elif known | {"names": identity["names"]} == identity:
                    what = "under another --name"
                elif _without_trust(known) == _without_trust(identity):
                    what = "with other trust scores: the model was calibrated, or its calibration lost, since"
                raise PromiseError(f"{self.folder}: contains predictions {what}. Choose another -o folder")
        else:
            write_json(path, identity)
        self._lines: dict[str, list[dict[str, str]]] = self._read_table()
        self._owners = {_stem(lines[0]["mask"]): key for key, lines in self._lines.items()}
        self.notes: list[str] = []
        self._saved_at = time.monotonic()

    def _read_table(self) -> dict[str, list[dict[str, str]]]:
        path = self.folder / TABLE_FILE
        lines: dict[str, list[dict[str, str]]] = {}
        if path.exists():
            try:
                with path.open(newline="", encoding="utf-8") as file:
                    for line in csv.DictReader(file):
                        lines.setdefault(_key(line["image"]), []).append({name: line[name] or "" for name in COLUMNS})
            except (ValueError, KeyError, csv.Error) as error:
                raise PromiseError(
                    f"{path}: cannot be read: {first_line(error)}. It was changed by another program; choose another "
                    "-o folder, or remove it to predict all images again"
                ) from error
        return lines

    def overlay_path(self, one: Input) -> Path:
        """Return where the overlay of an input is."""
        return self.folder / "overlays" / f"{one.stem}.png"

    def has(self, one: Input, sha256: str) -> bool:
        """Whether this very image was predicted and everything about it was written."""
        lines = self._lines.get(_key(one.name), [])
        if not lines or any(line["image_sha256"] != sha256 for line in lines):
            return False
        return (self.folder / lines[0]["mask"]).exists() and self.overlay_path(one).exists()

    def add(self, one: Input, sha256: str, labelled: Labelled) -> None:
        """Write the labels of a picture or volume, their overlay and their lines of the table.

        Raises:
            ImageError: if it cannot be written in the format that is wanted, or another image has its place.
        """
        path = self._write(one, labelled)
        self.notes += labelled.source.notes
        overlay = Image.fromarray(_overlay(labelled, self._reading))
        write_whole(self.overlay_path(one), lambda p: overlay.save(p))
        facts = {"image": one.name, "mask": str(path.relative_to(self.folder)), "image_sha256": sha256}
        self._lines[_key(one.name)] = [
            facts | line for index in range(len(labelled.slices)) for line in _lines_of(labelled, index)
        ]
        self._owners[one.stem] = _key(one.name)
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self.save_table()

    def check_place(self, one: Input, sha256: str) -> None:
        """Refuse an image whose mask would take the place of another's; the same image from elsewhere may.

        Raises:
            ImageError: naming the other.
        """
        owner = self._owners.get(one.stem, _key(one.name))
        if owner == _key(one.name):
            return
        other = self._lines[owner][0]
        if other["image_sha256"] != sha256:
            raise ImageError(
                f"{one.name}: its place, masks/{one.stem}, is taken by {other['image']}. Predict it into another "
                "folder, or rename one of them"
            )
        del self._lines[owner]

    def _write(self, one: Input, labelled: Labelled) -> Path:
        formats = formats_for(labelled.source, self.format)
        for number, output in enumerate(formats):
            writer = writer_of(output, self._keep_empty_frames)
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
        """Write ``predictions.csv`` with all that is known so far, whole or not at all."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for image in sorted(self._lines):
            writer.writerows(self._lines[image])
        write_text(self.folder / TABLE_FILE, text.getvalue())
        self._saved_at = time.monotonic()

    def finish(self) -> None:
        """Write what is about all images."""
        self.save_table()
        if self.format == OutputFormat.COCO:
            masks = {self.folder / lines[0]["mask"] for lines in self._lines.values()}
            write_coco(sorted(path for path in masks if path.exists()), self.folder / COCO_FILE)


def _without_trust(identity: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in identity.items() if name != "trust_sha256"}


def _without_frames(identity: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in identity.items() if name != "keep_empty_frames"}


def _key(name: str) -> str:
    """One image is one image, whether it is named from here or from the root."""
    return str(Path(name).absolute().resolve())


def _stem(mask: str) -> str:
    """Return the stem of the input that a mask of the table belongs to."""
    suffixes = sorted((writer.suffix for writer in WRITERS.values()), key=len, reverse=True)
    name = Path(mask).name
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
                "slice": str(index) if labelled.source.is_volume else "",
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
    return contact_sheet(tiles, [f"slice {i}" for i in chosen])


def _draw(image: np.ndarray, one: LabelledSlice) -> np.ndarray:
    for number, (label, origin) in enumerate(one.origins.items()):
        colour = OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)]
        image = draw_overlay(
            image, one.labels == label, origin.points_xy_image, origin.point_labels, origin.boxes_xyxy_image, colour
        )
    return image


def predict_one(one: Input, labeller: Labeller) -> Labelled:
    """Predict the labels of one picture or volume: the unit of work that a loop, processes or a cluster can map.

    It depends on its arguments alone, and writes nothing.

    Raises:
        ImageError: if it cannot be read.
    """
    return labeller.label(one.open(labeller.reading.axis))


def predict_folder(
    labeller: Labeller,
    inputs: Sequence[Input],
    folder: str | Path,
    output: OutputFormat = OutputFormat.AUTO,
    progress: Progress = silent,
    *,
    keep_empty_frames: bool = False,
) -> Outcome:
    """Predict labels for pictures and volumes into a folder; what is already there is left as it is.

    An image that cannot be read or written does not stop the others. Whatever ends the run, the table holds all that
    was finished.

    Raises:
        PromiseError: if the folder holds another model's predictions or cannot be written.
    """
    target = PredictionFolder(folder, labeller, output, keep_empty_frames)
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
                        target.add(one, sha256, predict_one(one, labeller))
                        predicted += 1
            except ImageError as error:
                problems.append(str(error))
    finally:
        target.finish()
    return Outcome(predicted, already_there, problems, target.notes)
