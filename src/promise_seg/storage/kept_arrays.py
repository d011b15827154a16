"""Arrays in a temporary file, to save memory."""

import tempfile
from io import FileIO
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import PromiseError, first_line


class _Place(NamedTuple):
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]


class KeptArrays:
    """Arrays with keys, in a temporary file that is removed with the object, however its process ends."""

    def __init__(self) -> None:
        # Without a buffer, a full disk is noticed when an array is written.
        self._file: FileIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as the object
        self._places: dict[object, _Place] = {}
        self._end = 0

    @property
    def size(self) -> int:
        """The size of the file, in bytes."""
        return self._end

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def put(self, key: object, array: Array) -> None:
        """Store an array, which replaces an earlier array with the same key.

        Raises:
            PromiseError: if the array cannot be written, for example on a full disk.
        """
        array = np.ascontiguousarray(array)
        known = self._places.get(key)
        fits = known is not None and (known.dtype, known.shape) == (array.dtype, array.shape)
        place = known if known is not None and fits else _Place(self._end, array.dtype, array.shape)
        try:
            self._file.seek(place.offset)
            left = memoryview(array.tobytes())
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise PromiseError(
                f"{tempfile.gettempdir()}: arrays that do not fit into memory cannot be kept there: "
                f"{first_line(error)}. Free some space, or set TMPDIR to a folder that has it"
            ) from error
        self._places[key] = place
        self._end = max(self._end, place.offset + array.nbytes)

    def get(self, key: object) -> Array:
        """Return the array with a key.

        Raises:
            KeyError: if there is no such array.
        """
        place = self._places[key]
        count = int(np.prod(place.shape, dtype=np.int64))
        self._file.seek(place.offset)
        raw = bytearray(count * place.dtype.itemsize)
        left = memoryview(raw)
        while left and (count_read := self._file.readinto(left)):
            left = left[count_read:]
        return np.frombuffer(raw, place.dtype, count).reshape(place.shape)

    def close(self) -> None:
        """Remove the file now."""
        self._file.close()
