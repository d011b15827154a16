"""Tables of the objects in a folder of predictions: one table for each image, and ``objects.csv`` for all images."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from promise_seg.errors import PromiseError, first_line
from promise_seg.images.own_folders import PREDICTION_OBJECTS
from promise_seg.prediction.labelled import Labelled
from promise_seg.storage.files import Sync, write_whole

COLUMNS = (
    "image", "slice", "id", "area_pixels", "area", "area_unit", "x", "y", "left", "top", "right", "bottom",
    "mean_intensity", "score", "predicted_iou", "point_x", "point_y",
)  # fmt: skip


def objects_path(folder: Path, stem: str) -> Path:
    """Return the path of an input's table of objects in a folder of predictions."""
    return folder / "objects" / f"{stem}.csv"


def write_objects(labelled: Labelled, image: str, path: Path) -> None:
    """Write the table of the objects of one image atomically.

    Args:
        labelled: instance map of the image.
        image: name of the image in the table.
        path: path of the table.
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


def join_objects(tables: Iterable[tuple[Path, str]], folder: Path) -> None:
    """Join the tables of all images into ``objects.csv``.

    Args:
        tables: path of each table with the current name of its image, which may have moved since.
        folder: folder of predictions.

    Raises:
        PromiseError: if a table cannot be read, or was changed by another program.
    """

    def write(to: Path) -> None:
        with to.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for path, image in tables:
                writer.writerows([image, *line[1:]] for line in _lines_in(path) if line)

    write_whole(folder / PREDICTION_OBJECTS, write)


def _lines_in(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a table, without its header."""
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise PromiseError(f"{path}: cannot be read: {first_line(error)}. Choose another -o folder") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise PromiseError(
            f"{path}: found another head than {','.join(COLUMNS)}; it was changed by another program. Choose another "
            "-o folder"
        )
    for number, line in enumerate(lines[1:], 2):
        if line and len(line) != len(COLUMNS):
            raise PromiseError(
                f"{path}: row {number} has {len(line)} cells; expected {len(COLUMNS)}. It was changed by another "
                "program; choose another -o folder"
            )
        yield line
