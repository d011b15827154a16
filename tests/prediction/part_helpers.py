"""Folders of predictions that were made in parts, for tests."""

import csv
from pathlib import Path

from PIL import Image

from promise_seg.images.own_folders import PREDICTION_PARTS
from tests.helpers import disc_image


def write_pictures(folder: Path, count: int) -> Path:
    """Write pictures of several sizes into two folders, ``p0`` and ``p1``, of a folder; return that."""
    for number in range(count):
        place = folder / f"p{number % 2}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(disc_image(number, 30 + number, 40)[0]).save(place)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder of predictions but those that only parts have, and what killed processes left."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and PREDICTION_PARTS not in path.relative_to(folder).parts
    }


def failures(folder: Path) -> list[dict[str, str]]:
    with (folder / "failures.csv").open(newline="") as file:
        return list(csv.DictReader(file))
