"""Models for several classes of label maps: one per class, in sibling folders."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.errors import CheckpointError
from promise_seg.sealed import read_sealed, write_sealed

CLASSES_FILE = "classes.json"

CLASS_PREFIX = "class-"
"""The folder of a class is called this, and the number of the class."""


def class_folder(folder: Path, label: int) -> Path:
    """Return the folder of the run of a class."""
    return folder / f"{CLASS_PREFIX}{label}"


def write_class_set(folder: Path, labels: Sequence[int]) -> None:
    """Record which classes a folder has, or will have, models of.

    Raises:
        CheckpointError: if other classes are recorded already.
    """
    if is_class_set(folder) and read_class_set(folder) != list(labels):
        known = ", ".join(map(str, read_class_set(folder)))
        raise CheckpointError(
            f"{folder}: contains models of the classes {known}, but the masks now have {', '.join(map(str, labels))}. "
            "Choose another -o folder"
        )
    write_sealed(folder / CLASSES_FILE, {"classes": list(labels)})


def is_class_set(folder: str | Path) -> bool:
    """Whether a folder contains models of several classes."""
    return (Path(folder) / CLASSES_FILE).is_file()


def read_class_set(folder: str | Path) -> list[int]:
    """Return the classes that a folder has models of.

    Raises:
        CheckpointError: if the record of them is damaged.
    """
    path = Path(folder) / CLASSES_FILE
    try:
        labels = read_sealed(path)["classes"]
        return [int(label) for label in labels]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
