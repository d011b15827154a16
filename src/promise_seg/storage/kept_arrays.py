"""Arrays in a temporary file: what need not be in memory."""

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
    """Arrays by a key, in a temporary file that is gone with the object, however its process ends.

    Raises:
        PromiseError: if there is no room for it.
    """

    def __init__(self) -> None:
        # Without a buffer, a full disk is noticed where an array is written.
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
        """Keep an array, in place of an earlier one of the same key.

        Raises:
            PromiseError: if it cannot be written.
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
        """Return the array of a key.

        Raises:
            KeyError: if there is none.
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
        """Free the space now."""
        self._file.close()
