"""Small images, shapes as rings of points, and independent ways to draw them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.draw import polygon2mask

from promise_seg.curation.annotations.importing import Imported, import_annotations
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading

WIDTH, HEIGHT = 220, 160
"""Not equal, so that x and y cannot be mixed up unnoticed."""

STAR = [(30.5, 20.25), (90, 12), (118.75, 70.5), (60, 58), (22, 101)]
LARGE = [(120, 20), (205, 28), (212, 140), (126, 131)]
HOLE = [(140, 50), (185, 55), (180, 105), (145, 100)]
LOWER = [(15, 112), (70, 108), (85, 150), (10, 152)]


def write_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **options: object) -> Path:
    """A picture of noise; ``options`` are of ``Image.save``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(f"{path.parent.name}/{path.name}".encode())
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def write_json(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_labelme(path, *shapes, size=(WIDTH, HEIGHT), image=None):
    """A file of LabelMe with polygons (label, ring)."""
    return write_json(
        path,
        {"shapes": [{"label": label, "points": ring, "shape_type": "polygon"} for label, ring in shapes],
         "imagePath": image or f"{path.stem}.png", "imageWidth": size[0], "imageHeight": size[1]},
    )  # fmt: skip


def drawn(*rings: object, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """The pixels whose centres are in an odd number of rings, by scikit-image: (H, W) bool."""
    inside = np.zeros((size[1], size[0]), bool)
    for ring in rings:
        inside ^= polygon2mask(inside.shape, np.asarray(ring, float)[:, ::-1] - 0.5)
    return inside


def drawn_ellipse(x, y, radius_x, radius_y, degrees=0.0, size=(WIDTH, HEIGHT)) -> np.ndarray:
    """The pixels whose centres are in an ellipse that is rotated clockwise, by its equation: (H, W) bool."""
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    angle = np.deg2rad(degrees)
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = -(columns - x) * np.sin(angle) + (rows - y) * np.cos(angle)
    return (along / radius_x) ** 2 + (across / radius_y) ** 2 <= 1


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def run(annotations, output: Path, **options) -> Imported:
    return import_annotations(annotations, output, **options)


def labels_in(imported: Imported, number: int = 0) -> np.ndarray:
    """The map that was written for an image."""
    return np.asarray(Image.open(imported.pairs[number].mask))


def accepted(manifest: Path, **reading):
    """The rows of a manifest, after everything that training checks."""
    return check_rows(read_manifest(manifest), make_reading(**reading))
