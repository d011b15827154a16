"""Models for several classes of label maps: one per class, in sibling folders.

The models were trained one by one, or as one network, whose run is then in the parent folder.
"""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.errors import CheckpointError, first_line
from promise_seg.storage.sealed import read_sealed, write_sealed

CLASSES_FILE = "classes.json"

_ONE_MODEL = "one_model"

CLASS_PREFIX = "class-"
"""The name of the folder of a class begins with this prefix, followed by the number of the class."""


def class_folder(folder: Path, label: int) -> Path:
    """Return the run folder of a class."""
    return folder / f"{CLASS_PREFIX}{label}"


def write_class_set(folder: Path, labels: Sequence[int], *, one_model: bool = False) -> None:
    """Record the classes that a folder has or will have models of, and whether they are trained as one network.

    Raises:
        CheckpointError: see :func:`check_class_set`.
    """
    check_class_set(folder, labels, one_model=one_model)
    write_sealed(folder / CLASSES_FILE, {"classes": list(labels)} | ({_ONE_MODEL: True} if one_model else {}))


def check_class_set(folder: Path, labels: Sequence[int], *, one_model: bool = False) -> None:
    """Check that models of these classes can be trained in a folder.

    Raises:
        CheckpointError: if the folder has a record of other classes or of the other way of training.
    """
    if is_class_set(folder) and read_class_set(folder) != list(labels):
        known = ", ".join(map(str, read_class_set(folder)))
        raise CheckpointError(
            f"{folder}: contains models of the classes {known}, but the masks now have {', '.join(map(str, labels))}. "
            "Choose another -o folder"
        )
    if is_class_set(folder) and is_one_model(folder) != one_model:
        held, way_out = "a model for each class, trained one by one", "leave --one-model out to resume it"
        if not one_model:
            held, way_out = "one model for all classes", "give --one-model to resume it"
        raise CheckpointError(f"{folder}: contains {held}; {way_out}, or choose another -o folder")


def is_class_set(folder: str | Path) -> bool:
    """Whether a folder contains models of several classes."""
    return (Path(folder) / CLASSES_FILE).is_file()


def read_class_set(folder: str | Path) -> list[int]:
    """Return the classes that a folder has models of.

    Raises:
        CheckpointError: if the record of the classes is missing or damaged.
    """
    return _read(folder)[0]


def is_one_model(folder: Path) -> bool:
    """Whether the models in a folder are trained as one network.

    Raises:
        CheckpointError: if the record of the classes is missing or damaged.
    """
    return _read(folder)[1]


def _read(folder: str | Path) -> tuple[list[int], bool]:
    """Return the recorded classes of a folder, and whether they are trained as one network."""
    path = Path(folder) / CLASSES_FILE
    try:
        found = read_sealed(path)
        return [int(label) for label in found["classes"]], bool(found.get(_ONE_MODEL, False))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged: {first_line(error)}") from error
