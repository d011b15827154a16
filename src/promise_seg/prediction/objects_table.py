"""The tables of the objects of a folder of predictions: one for each image, and ``objects.csv`` with all of them."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from promise_seg.errors import PromiseError, first_line
from promise_seg.files import Sync, write_whole
from promise_seg.images.own_folders import PREDICTION_OBJECTS
from promise_seg.prediction.labelling import Labelled

COLUMNS = (
    "image", "slice", "id", "area_pixels", "area", "area_unit", "x", "y", "left", "top", "right", "bottom",
    "mean_intensity", "score", "predicted_iou", "point_x", "point_y",
)  # fmt: skip


def objects_path(folder: Path, stem: str) -> Path:
    """Return where the table of the objects of the input with a stem is, in a folder of predictions."""
    return folder / "objects" / f"{stem}.csv"


def write_objects(labelled: Labelled, image: str, path: Path) -> None:
    """Write the table of the objects of one image, whole or not at all.

    Args:
        labelled: an instance map.
        image: as the table names it.
        path: of the table.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(labelled, image))
    content = text.getvalue().encode()
    write_whole(path, lambda to: to.write_bytes(content), Sync.FILE)


def _lines(labelled: Labelled, image: str) -> Iterator[dict[str, object]]:
    for index, one in enumerate(labelled.slices):
        number = labelled.source.number_of(index) if labelled.source.is_volume else ""
        for found in one.objects or ():
            yield {"image": image, "slice": number} | found.record()


def join_objects(tables: Iterable[Path], folder: Path) -> None:
    """Write ``objects.csv`` from the tables of all images, one after the other.

    Raises:
        PromiseError: if a table was changed by another program.
    """
    head = ",".join(COLUMNS) + "\n"

    def write(to: Path) -> None:
        with to.open("w", encoding="utf-8", newline="") as file:
            file.write(head)
            for path in tables:
                file.write(_without_head(path, head))

    write_whole(folder / PREDICTION_OBJECTS, write)


def _without_head(path: Path, head: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PromiseError(f"{path}: cannot be read: {first_line(error)}. Choose another -o folder") from error
    if not text.startswith(head):
        raise PromiseError(
            f"{path}: found another head than {head.strip()}; it was changed by another program. Choose another -o "
            "folder"
        )
    return text.removeprefix(head)
