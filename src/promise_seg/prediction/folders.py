"""Predict masks for files and folders of images, with a safe restart."""

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from promise_seg.data.checks import file_sha256
from promise_seg.data.readers import IMAGE_SUFFIXES, read_image
from promise_seg.errors import ImageError, PromiseError
from promise_seg.files import write_json, write_text, write_whole
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.prediction.predictor import Prediction, Predictor

TABLE_FILE = "predictions.csv"
IDENTITY_FILE = "model.json"
COLUMNS = (
    "image", "mask", "width", "height", "area_pixels", "area_share", "predicted_iou", "points", "image_sha256"
)  # fmt: skip
_SAVE_SECONDS = 5.0


def find_images(places: Iterable[str | Path]) -> list[Path]:
    """Image files named directly, and those directly inside of named folders, in order of name.

    Raises:
        ImageError: if a place does not exist, there are no images, or two of them would get the same mask file.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            found += sorted(
                p for p in place.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
            )
        elif place.exists():
            found.append(place)
        else:
            raise ImageError(f"{place}: no such file or folder")
    if not found:
        raise ImageError(
            f"{', '.join(map(str, places))}: no images there; expected files ending in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    by_stem: dict[str, Path] = {}
    for path in found:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise ImageError(
                f"{other} and {path} would both get the mask masks/{path.stem}.png. Rename one, or predict them into "
                "different folders"
            )
    return list(by_stem.values())


@dataclass(frozen=True)
class Outcome:
    """How a run over a folder ended. ``problems`` has a line for each image that could not be read."""

    predicted: int
    already_there: int
    problems: list[str]


class PredictionFolder:
    """The output of one model: ``masks/``, ``overlays/`` and ``predictions.csv`` in a folder.

    Raises:
        PromiseError: if the folder holds predictions of another model.
    """

    def __init__(self, folder: str | Path, predictor: Predictor) -> None:
        self.folder = Path(folder)
        model = predictor.model
        identity = {"model_sha256": model.sha256(), "sam": model.config.sam, "variant": str(model.config.variant)}
        path = self.folder / IDENTITY_FILE
        if path.exists():
            try:
                known = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise PromiseError(f"{path}: damaged: {error}. Choose another -o folder.") from error
            if known != identity:
                raise PromiseError(f"{self.folder}: holds predictions of another model. Choose another -o folder.")
        else:
            write_json(path, identity)
        self._lines: dict[str, dict[str, str]] = self._read_table()
        self._saved_at = time.monotonic()

    def _read_table(self) -> dict[str, dict[str, str]]:
        path = self.folder / TABLE_FILE
        if not path.exists():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            return {line["image"]: line for line in csv.DictReader(file)}

    def mask_path(self, image: Path) -> Path:
        return self.folder / "masks" / f"{image.stem}.png"

    def overlay_path(self, image: Path) -> Path:
        return self.folder / "overlays" / f"{image.stem}.png"

    def has(self, image: Path, image_sha256: str) -> bool:
        """Whether this very image was predicted and everything about it was written."""
        line = self._lines.get(str(image))
        if line is None or line["image_sha256"] != image_sha256:
            return False
        return self.mask_path(image).exists() and self.overlay_path(image).exists()

    def add(self, image: Path, image_sha256: str, pixels: np.ndarray, prediction: Prediction) -> None:
        """Write a mask, its overlay and its line of the table."""
        mask = Image.fromarray(prediction.mask.astype(np.uint8) * 255)
        overlay = Image.fromarray(draw_overlay(pixels, prediction.mask, prediction.points_xy, prediction.point_labels))
        write_whole(self.mask_path(image), lambda p: mask.save(p))
        write_whole(self.overlay_path(image), lambda p: overlay.save(p))
        height, width = prediction.mask.shape
        area = int(prediction.mask.sum())
        points = [
            [round(float(x), 1), round(float(y), 1), int(label)]
            for (x, y), label in zip(prediction.points_xy, prediction.point_labels, strict=True)
        ]
        self._lines[str(image)] = {
            "image": str(image),
            "mask": str(self.mask_path(image).relative_to(self.folder)),
            "width": str(width),
            "height": str(height),
            "area_pixels": str(area),
            "area_share": f"{area / (height * width):.6f}",
            "predicted_iou": f"{prediction.predicted_iou:.4f}",
            "points": json.dumps(points),
            "image_sha256": image_sha256,
        }
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self.save_table()

    def save_table(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._lines[key] for key in sorted(self._lines))
        write_text(self.folder / TABLE_FILE, text.getvalue())
        self._saved_at = time.monotonic()


def predict_folder(
    predictor: Predictor,
    images: Sequence[Path],
    folder: str | Path,
    progress: Callable[[], object] = lambda: None,
) -> Outcome:
    """Predict masks for images into a folder; what is already there is left as it is.

    An image that cannot be read does not stop the others. Whatever ends the run, the table holds all that was finished.

    Raises:
        PromiseError: if the folder holds another model's predictions or cannot be written.
    """
    output = PredictionFolder(folder, predictor)
    predicted = already_there = 0
    problems: list[str] = []
    try:
        for path in images:
            try:
                image_sha256 = file_sha256(path)
                if output.has(path, image_sha256):
                    already_there += 1
                else:
                    pixels = read_image(path)
                    output.add(path, image_sha256, pixels, predictor.predict(pixels))
                    predicted += 1
            except ImageError as error:
                problems.append(str(error))
            progress()
    finally:
        output.save_table()
    return Outcome(predicted, already_there, problems)
