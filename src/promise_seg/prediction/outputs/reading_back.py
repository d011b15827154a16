"""Write files of labels safely: each file is read back and compared before it replaces an existing one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.labelled import Labelled
from promise_seg.storage.files import Sync, replacing


def write_checked(
    labelled: Labelled, path: Path, write: Callable[[Path], object], read: Callable[[Path], Array], expected: Array
) -> None:
    """Write a temporary file, read it back, and move it to ``path`` only if its content is correct.

    Args:
        labelled: the labels.
        path: path of the file.
        write: function that writes the labels to a path.
        read: function that reads labels (N, H, W) from a path.
        expected: labels (N, H, W) that ``read`` must return.

    Raises:
        ImageError: if the file cannot be written or read back, or holds other values; ``path`` is left unchanged.
        PromiseError: if the system cannot write to the folder.
    """
    with replacing(path, Sync.FILE) as temporary, faults_of_writing(labelled, temporary):
        write(temporary)
        check_same(read(temporary), expected)


@contextmanager
def faults_of_writing(labelled: Labelled, written: Path) -> Iterator[None]:
    """Turn any error of writing and reading back, except operating system errors, into an :class:`ImageError`."""
    try:
        yield
    except OSError:
        raise
    except MemoryError:
        raise ImageError(f"{labelled.source.path}: not enough memory to write its labels") from None
    except Exception as error:  # libraries may raise any error
        if isinstance(error, PromiseError) and str(error).startswith(f"{labelled.source.path}: "):
            raise
        reason = first_line(error).removeprefix(f"{written}: ").replace(str(written), written.name).rstrip(".")
        what = "its labels were written, but could not be read back unchanged"
        if not isinstance(error, PromiseError):
            reason = f"{type(error).__name__}: {reason}"
        raise ImageError(f"{labelled.source.path}: {what}: {reason}. Choose another --format") from error


def check_same(found: Array, expected: Array) -> None:
    """Check that labels that were read back equal the expected ones.

    Raises:
        ImageError: if they differ in shape or values.
    """
    if found.shape != expected.shape:
        raise ImageError(f"found {_size(found)} pixels; expected {_size(expected)}")
    if others := int(np.count_nonzero(found != expected)):
        raise ImageError(f"{others} of {expected.size} pixels have a different label")


def _size(stack: Array) -> str:
    return " x ".join(map(str, stack.shape))


def stored_stack(path: Path) -> Array:
    """Return all slices of a file (N, H, W), in the order and with the values that it stores."""
    source = open_source(path)
    return np.stack([source.as_stored(index) for index in range(len(source))])


def stack_beside(path: Path, labelled: Labelled) -> Array:
    """Return the slices (N, H, W) of a file that is read as the mask of its image, matched by position."""
    return np.stack([read_labels(path, labelled.source, index) for index in range(len(labelled.slices))])
