"""The limit on the size of a file in memory. A file that declares more is rejected before it is decoded."""

import os
from io import BufferedReader, FileIO
from math import ceil, prod
from pathlib import Path

from promise_seg.errors import ImageError, SettingsError

DEFAULT_MAX_VALUES = 2**29
"""The most values in one image or volume: 512 x 512 x 2048 voxels, or about 13,000 x 13,000 pixels in colour."""
_VARIABLE = "PROMISE_SEG_MAX_VALUES"
_MUCH = 2**16
"""The number of bytes above which a read is compared with the size of the file."""


def max_values() -> int:
    """Return the limit: ``$PROMISE_SEG_MAX_VALUES`` or the default.

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
    """A file that limits reads to its size, so that no memory is reserved for lengths that a damaged header states.

    Python's own files reserve the requested size before they read: up to 4 GB for 4 damaged bytes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most the rest of the file, whatever a damaged header asks for."""
        if size is not None and size > _MUCH:
            size = min(size, max(0, self._size - self.tell()))
        return super().read(size)


def check_size(path: Path, shape: tuple[int, ...]) -> None:
    """Check the shape in a file's header before its pixels are decoded.

    Raises:
        ImageError: if the shape is empty, not positive, or too large.
    """
    words = " x ".join(map(str, shape))
    if not shape or min(shape) < 1:
        raise ImageError(f"{path}: damaged: its header says {words or 'nothing'} as its size")
    if prod(map(int, shape)) > max_values():
        raise too_large(path, words)


def check_frames_together(path: Path, shape: tuple[int, int, int]) -> None:
    """Check that the labels (N, H, W) of all frames of a video are within the limit, as they are in memory at once.

    Raises:
        ImageError: if there are too many; the message says how many frames to leave out.
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
