"""Read labels back as their user would, before the file that holds them takes its place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.files import Sync, replacing
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.labelled import Labelled


def write_checked(
    labelled: Labelled, path: Path, write: Callable[[Path], object], read: Callable[[Path], Array], expected: Array
) -> None:
    """Write a file beside ``path``, read it back, and only then put it in its place.

    Shape: ``expected``, and what ``read`` returns of a path: (N, H, W).

    Raises:
        ImageError: if it cannot be written or read back, or holds other values; ``path`` is then as it was before.
        PromiseError: if the system cannot write there.
    """
    with replacing(path, Sync.FILE) as temporary, faults_of_writing(labelled, temporary):
        write(temporary)
        check_same(read(temporary), expected)


@contextmanager
def faults_of_writing(labelled: Labelled, written: Path) -> Iterator[None]:
    """Turn whatever writing and reading back run into, apart from the system's errors, into an error of the image."""
    try:
        yield
    except OSError:
        raise
    except MemoryError:
        raise ImageError(f"{labelled.source.path}: not enough memory to write its labels") from None
    except Exception as error:  # libraries raise whatever they run into
        if isinstance(error, PromiseError) and str(error).startswith(f"{labelled.source.path}: "):
            raise
        reason = first_line(error).removeprefix(f"{written}: ").replace(str(written), written.name).rstrip(".")
        what = "its labels cannot be written so that they are read back"
        if not isinstance(error, PromiseError):
            reason = f"{type(error).__name__}: {reason}"
        raise ImageError(f"{labelled.source.path}: {what}: {reason}. Choose another --format") from error


def check_same(found: Array, expected: Array) -> None:
    """Compare labels that were read back with those that were to be written.

    Raises:
        ImageError: if they differ.
    """
    if found.shape != expected.shape:
        raise ImageError(f"they come back as {_size(found)} pixels, but are {_size(expected)}")
    if others := int(np.count_nonzero(found != expected)):
        raise ImageError(f"{others} of {expected.size} pixels come back with another label")


def _size(stack: Array) -> str:
    return " x ".join(map(str, stack.shape))


def stored_stack(path: Path) -> Array:
    """Return all slices of a file (N, H, W) as it stores them, by their number."""
    source = open_source(path)
    return np.stack([source.as_stored(index) for index in range(len(source))])


def stack_beside(path: Path, labelled: Labelled) -> Array:
    """Return the slices of a file (N, H, W) that is read as the mask of its image, matched by their place."""
    return np.stack([read_labels(path, labelled.source, index) for index in range(len(labelled.slices))])
