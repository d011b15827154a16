"""The limit on the size of a file in memory. A file that declares more is rejected before it is decoded."""

import os
from io import BufferedReader, FileIO
from math import ceil, prod
from pathlib import Path

from promise_seg.errors import ImageError, SettingsError

DEFAULT_MAX_VALUES = 2**29
"""The values in one image or volume: 512 x 512 x 2048 voxels, or 13,000 x 13,000 pixels in colour."""
_VARIABLE = "PROMISE_SEG_MAX_VALUES"
_MUCH = 2**16
"""Bytes of a read that is worth comparing with the size of the file."""


def max_values() -> int:
    """The limit: ``$PROMISE_SEG_MAX_VALUES`` or the default.

    Raises:
        SettingsError: if the variable is not a whole number above 0.
    """
    text = os.environ.get(_VARIABLE)
    if text is None:
        return DEFAULT_MAX_VALUES
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"${_VARIABLE}: {text!r} is not a whole number above 0")
    return int(text)


class SparingFile(BufferedReader):
    """A file of which nobody gets more than it holds, so that no memory is set aside for lengths that only it states.

    Python's own files reserve what ``read`` is asked for before they read, up to 4 GB for 4 damaged bytes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read no more than the file can hold, whatever a damaged header asks for."""
        if size is not None and size > _MUCH:
            size = min(size, max(0, self._size - self.tell()))
        return super().read(size)


def check_size(path: Path, shape: tuple[int, ...]) -> None:
    """Raise an error for an invalid or too large shape in a file's header, before its pixels are decoded.

    Raises:
        ImageError: if it is empty or too large.
    """
    words = " x ".join(map(str, shape))
    if not shape or min(shape) < 1:
        raise ImageError(f"{path}: damaged: its header says {words or 'nothing'} as its size")
    if prod(map(int, shape)) > max_values():
        raise too_large(path, words)


def check_frames_together(path: Path, shape: tuple[int, int, int]) -> None:
    """Refuse the labels (N, H, W) of more frames than can be held at once, with how many to leave out.

    Raises:
        ImageError: if they are too many.
    """
    count, (height, width) = shape[0], shape[1:]
    if prod(shape) > max_values():
        every = ceil(prod(shape) / max_values())
        raise ImageError(
            f"{path}: too long: the labels of {count} frames of {width} x {height} pixels are more than the limit of "
            f"{max_values():,} values, as they are held at once. Predict every {every}th frame or fewer (--every "
            f"{every}), or cut the video into parts"
        )


def too_large(path: Path, words: str) -> ImageError:
    """Return the error for a file that declares too many values."""
    return ImageError(
        f"{path}: too large: {words} values, more than the limit of {max_values():,}. If the file is what you "
        f"think it is, set ${_VARIABLE} to a higher number"
    )
