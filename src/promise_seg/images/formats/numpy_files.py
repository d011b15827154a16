"""Read headers and arrays of ``.npy`` and ``.npz`` files with ``numpy``, without ever unpickling.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import threading
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.limits import SparingFile, check_size

SUFFIX = ".npy"
_LONGEST_HEADER = 10_000
_parsing = threading.Lock()
"""NumPy parses headers as Python literals, which sometimes fails in Python 3.11 in two threads at once."""
_REASONS = {
    "O": "holds Python objects, which would have to be unpickled and could run any code",
    "c": "holds complex numbers",
    "V": "holds records of several fields",
}


@dataclass(frozen=True)
class Header:
    """The shape and the data type of a stored array."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def check(self, path: Path) -> None:
        """Check that the values are real numbers.

        Raises:
            ImageError: if they are not.
        """
        if self.dtype.hasobject or self.dtype.kind not in "biuf":
            kind = "O" if self.dtype.hasobject else self.dtype.kind
            why = _REASONS.get(kind, f"holds values of the type {self.dtype}")
            raise ImageError(f"{path}: {why}; expected an array of numbers. Save the pixels alone, with np.save")


def read_header(stream: IO[bytes]) -> Header:
    """Read the header of an array.

    Raises:
        ValueError: if there is no header, or it is for records.
    """
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        with _parsing:
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        length = stream.read(4)
        size = int.from_bytes(length, "little")
        if size > _LONGEST_HEADER:
            raise ValueError(f"its header says that it has {size} bytes itself")
        content = io.BytesIO(length + stream.read(size))
        with _parsing:
            shape, _, dtype = np.lib.format.read_array_header_2_0(content)
    else:
        raise ValueError(f"version {'.'.join(map(str, version))} of the format, which is for records")
    return Header(tuple(map(int, shape)), dtype)


def header_of(path: Path) -> Header:
    """Read the header of a ``.npy`` file, and check that the file has as many values as the header states.

    Raises:
        ImageError: if the values are not real numbers.
        ValueError: if the file is damaged.
    """
    with SparingFile(path) as file:
        header = read_header(file)
        header.check(path)
        stated, there = prod(header.shape) * header.dtype.itemsize, path.stat().st_size - file.tell()
    if header.shape and min(header.shape) > 0 and stated > there:
        raise ValueError(f"truncated: it has {there} of {stated} bytes")
    return header


def mapped(path: Path) -> Array:
    """Map a ``.npy`` file into memory until the result is freed; copy the values that are needed longer."""
    with _parsing:
        return np.lib.format.open_memmap(path, mode="r")


def archive_headers(path: Path) -> dict[str, Header]:
    """Read the headers of all arrays of a ``.npz`` file, by name.

    Raises:
        ValueError, zipfile.BadZipFile: if the file is damaged.
    """
    found = {}
    with SparingFile(path) as file, zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith(SUFFIX):
                with archive.open(name) as stream:
                    found[name.removesuffix(SUFFIX)] = read_header(stream)
    return found


def archive_array(path: Path, name: str, header: Header) -> Array:
    """Read an array of a ``.npz`` file.

    Raises:
        ImageError: if the array is too large, or its values are not real numbers.
    """
    header.check(path)
    check_size(path, header.shape)
    with SparingFile(path) as file, zipfile.ZipFile(file) as archive, archive.open(name + SUFFIX) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
