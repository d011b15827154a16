"""The table of a folder of predictions, which is kept up to date while images are predicted.

New lines go into a log next to ``predictions.csv``, one for each image. The table is rewritten with them every five
seconds, or less often if writing it would take more than a twentieth of the time. The table is complete at any moment,
and all images that a killed process had finished are in the table or the log.
"""

import csv
import io
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Protocol

from promise_seg.errors import PromiseError, first_line
from promise_seg.images.exports.inputs import key_of
from promise_seg.images.own_folders import PREDICTION_LOG, PREDICTION_TABLE
from promise_seg.prediction.labelled import Labelled, Origin
from promise_seg.prediction.outputs.formats import WRITERS
from promise_seg.storage.csv_records import records
from promise_seg.storage.files import write_text
from promise_seg.storage.locks import in_turn

COLUMNS = (
    "image", "slice", "class", "mask", "width", "height", "area_pixels", "area_share", "predicted_iou", "trust",
    "nothing_here", "points", "boxes", "image_sha256", "objects",
)  # fmt: skip
_FIRST_COLUMNS = ("image", "mask", "image_sha256")
"""Columns that a table must have to be continued; the other columns were added in later versions."""
_SAVE_SECONDS = 5.0
_SAVE_SHARE = 20  # minimum time between two saves, as a multiple of the time that one takes

Lines = list[dict[str, str]]
"""The table lines of one image: one for each slice and label."""


class ImageTable(Protocol):
    """Interface to the table lines of images by key; see :class:`PredictionTable`."""

    def lines(self, key: str) -> Lines:
        """The lines of an image; none if it is not in the table."""

    def all_lines(self) -> list[Lines]:
        """The lines of all images."""

    def owner(self, stem: str) -> str | None:
        """The key of the image whose mask has this stem."""

    def image_of(self, key: str) -> str:
        """The name of an image that is in the table."""

    def first_below(self, folder: str) -> str | None:
        """The key of an image whose mask is in a folder of masks."""

    def put(self, key: str, lines: Lines) -> None:
        """Add the lines of an image, or replace them."""

    def take_out(self, key: str) -> Lines:
        """Remove the lines of an image and return them."""

    @property
    def is_due(self) -> bool:
        """Whether it is time to write the table."""

    def save(self) -> None:
        """Write the table."""


class PredictionTable:
    """The table lines of a folder's images by key, safe for several threads and processes.

    Raises:
        PromiseError: if the existing table cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.path, self._log = folder, folder / PREDICTION_TABLE, folder / PREDICTION_LOG
        self._lock = threading.RLock()
        self._lines, self._owners = self._read()
        self._changed: set[str] = set()  # keys that this process added or removed
        self._saved_at, self._save_seconds = time.monotonic(), 0.0

    def lines(self, key: str) -> Lines:
        """The lines of an image; none if it is not in the table."""
        return self._lines.get(key, [])

    def all_lines(self) -> list[Lines]:
        """The lines of all images."""
        with self._lock:
            return list(self._lines.values())

    def owner(self, stem: str) -> str | None:
        """The key of the image whose mask has this stem."""
        return self._owners.get(stem)

    def image_of(self, key: str) -> str:
        """The name of an image that is in the table."""
        return self._lines[key][0]["image"]

    def first_below(self, folder: str) -> str | None:
        """The key of an image whose mask is in a folder of masks."""
        with self._lock:
            return next(
                (key for stem, key in self._owners.items() if stem.startswith(f"{folder}/") and key in self._lines),
                None,
            )

    def put(self, key: str, lines: Lines) -> None:
        """Add or replace the lines of an image, and append them to the log.

        Raises:
            PromiseError: if the log cannot be written.
        """
        with self._lock:
            _put(self._lines, self._owners, key, lines, self._folder)
            self._changed.add(key)
            with in_turn(self.path):
                self._append(json.dumps({"key": key, "lines": lines}) + "\n")

    def take_out(self, key: str) -> Lines:
        """Remove the lines of an image and return them."""
        with self._lock:
            self._changed.add(key)
            return self._lines.pop(key)

    @property
    def is_due(self) -> bool:
        """Whether it is time to write the table."""
        return time.monotonic() - self._saved_at > max(_SAVE_SECONDS, _SAVE_SHARE * self._save_seconds)

    def save(self) -> None:
        """Write the table atomically with all predictions so far, and remove the log.

        Lines that another process added in the meantime are kept.

        Raises:
            PromiseError: if the table cannot be written.
        """
        with self._lock, in_turn(self.path):
            started = time.monotonic()
            for key, lines in self._read()[0].items():
                if key not in self._changed and lines:
                    self._lines[key], self._owners[stem_of_lines(lines, self._folder)] = lines, key
            ordered = (line for key in sorted(self._lines) for line in self._lines[key])
            write_text(self.path, ",".join(COLUMNS) + "\n" + _csv_of(ordered))
            self._log.unlink(missing_ok=True)
            self._saved_at = time.monotonic()
            self._save_seconds = self._saved_at - started

    def _append(self, line: str) -> None:
        """Append a line to the log, after a line break if the last line is incomplete."""
        try:
            with self._log.open("a+b") as file:
                end = file.seek(0, os.SEEK_END)
                if end:
                    file.seek(end - 1)
                    line = line if file.read(1) == b"\n" else f"\n{line}"
                file.write(line.encode())
        except OSError as error:
            raise PromiseError(
                f"{self._log}: cannot write: {error.strerror}. Finished predictions are unharmed; free space or "
                "choose another -o folder"
            ) from error

    def _read(self) -> tuple[dict[str, Lines], dict[str, str]]:
        """Read the table and the log; return lines by key, and keys by stem of the mask."""
        lines: dict[str, Lines] = {}
        owners: dict[str, str] = {}
        if self.path.exists():
            try:
                with self.path.open(newline="", encoding="utf-8") as file:
                    for line in records(file):
                        lines.setdefault(key_of(line["image"]), []).append(_complete(line))
            except (ValueError, KeyError) as error:
                raise PromiseError(
                    f"{self.path}: cannot be read: {first_line(error)}. It was changed by another program; choose "
                    "another -o folder, or remove it to predict all images again"
                ) from error
        owners |= {stem_of_lines(found, self._folder): key for key, found in lines.items()}
        for key, found in self._logged():
            _put(lines, owners, key, found, self._folder)
        return lines, owners

    def _logged(self) -> Iterable[tuple[str, Lines]]:
        """Yield the entries of the log, without incomplete lines."""
        try:
            content = self._log.read_bytes()
        except FileNotFoundError:
            return
        for line in content.split(b"\n"):
            try:
                entry = json.loads(line)
                found = str(entry["key"]), [_complete(one) for one in entry["lines"]]
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            if found[1]:
                yield found


def _put(lines: dict[str, Lines], owners: dict[str, str], key: str, new: Lines, folder: Path) -> None:
    """Set the lines of an image, and remove those of another image with the same mask."""
    stem = stem_of_lines(new, folder)
    if (other := owners.get(stem, key)) != key:
        lines.pop(other, None)
    lines[key], owners[stem] = new, key


def _csv_of(lines: Iterable[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _complete(line: Mapping[str, str | None]) -> dict[str, str]:
    """Return a line with all current columns, filling missing ones with empty text.

    Raises:
        KeyError: if a column that every version writes is missing.
    """
    return {name: line[name] or "" for name in _FIRST_COLUMNS} | {
        name: line.get(name) or "" for name in COLUMNS if name not in _FIRST_COLUMNS
    }


def stem_of_lines(lines: Lines, folder: Path) -> str:
    """Return the stem of the input that lines of the table in a folder of predictions belong to."""
    return stem_of(lines[0]["mask"], folder if lines[0].get("slice") else None)


def stem_of(mask: str, folder: Path | None) -> str:
    """Return the stem of the input that a mask in the table belongs to.

    Args:
        mask: path of the mask, relative to the folder of predictions.
        folder: the folder of predictions; ``None`` if the mask is a file. If the mask is a folder of slices there, its
            name has no suffix of a mask, even if it ends like one: ``scan.png`` for ``scan.png.tif``.
    """
    suffixes = sorted((writer.suffix for writer in WRITERS.values()), key=len, reverse=True)
    name = PurePath(mask).as_posix().removeprefix("masks/")
    suffix = next((suffix for suffix in suffixes if name.endswith(suffix)), "")
    return name if folder is not None and suffix and (folder / mask).is_dir() else name.removesuffix(suffix)


def lines_of(labelled: Labelled, index: int) -> list[dict[str, str]]:
    """Return the table lines of one slice, one per label, without the columns about its image."""
    one = labelled.slices[index]
    height, width = one.labels.shape
    lines = []
    for label, origin in one.origins.items():
        area = one.area_of(label)
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
                "objects": "" if one.objects is None else str(len(one.objects)),
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
