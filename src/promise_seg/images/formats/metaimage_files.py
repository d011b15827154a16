"""Read the header and the values of MetaImage files safely, whatever they contain.

ITK, whose format it is, opens any file that a header names and trusts its sizes, so it is not used here.

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

import re
import zlib
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.companions import companion
from promise_seg.images.formats.limits import SparingFile, check_size

_MAX_HEADER = 2**20
"""The greatest length of a header in bytes."""
_MAX_SKIPPED = 2**26
"""The greatest number of bytes before the values in a data file."""
_CHUNK = 2**20
_ANY_CONTAINER = 47
"""The window bits with which zlib accepts both its own container and that of gzip."""
_TYPES = {
    "MET_CHAR": "i1", "MET_ASCII_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip

Header = dict[str, str]
"""Fields by their names in lower case."""


def read_header(path: Path) -> tuple[Header, int]:
    """Return the fields of a header, and its length in bytes.

    Raises:
        ImageError: if the header does not end, or lacks a required field.
    """
    with SparingFile(path) as file:
        head = file.read(_MAX_HEADER + 1)
    header: Header = {}
    size = 0
    for line in BytesIO(head):
        size += len(line)
        name, _, value = line.decode("utf-8", "replace").partition("=")
        header[name.strip().lower()] = value.strip()
        if "elementdatafile" in header:
            break
    if "elementdatafile" not in header or size > _MAX_HEADER:
        raise ImageError(
            f"{path}: damaged: its header does not end with ElementDataFile within {_MAX_HEADER:,} bytes. Save it again"
        )
    for name in ("ndims", "dimsize", "elementtype"):
        if name not in header:
            raise ImageError(f"{path}: damaged: its header has no field {name!r}. Save it again")
    return header, size


def numbers(path: Path, header: Header, name: str, count: int) -> list[float] | None:
    """Return the numbers of a field; ``None`` if there is no such field.

    Raises:
        ImageError: if the field does not have ``count`` numbers.
    """
    if name not in header:
        return None
    try:
        found = [float(word) for word in header[name].split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise ImageError(f"{path}: damaged: {name} is {header[name]!r:.50} in its header; expected {count} numbers")
    return found


def whole_number(path: Path, header: Header, name: str, default: int, least: int, most: int) -> int:
    """Return the whole number of a field, from ``least`` to ``most``.

    Raises:
        ImageError: if it is not a whole number, or out of range.
    """
    word = header.get(name, str(default))
    if not re.fullmatch(r"-?\d{1,9}", word) or not least <= int(word) <= most:
        raise ImageError(f"{path}: {name} is {word!r:.50} in its header; expected a number from {least} to {most:,}")
    return int(word)


def data_file(path: Path, header: Header) -> Path | None:
    """Return the data file; ``None`` if the values are in the header's own file.

    Raises:
        ImageError: if the data file is outside the folder or missing, or there are several.
    """
    name = header["elementdatafile"]
    if name.lower() == "local":
        return None
    if name.split()[:1] == ["LIST"] or "%" in name:
        raise ImageError(f"{path}: its values are in several files ({name:.100}); expected one. Save it as one .mha")
    if not name:
        raise ImageError(f"{path}: damaged: its header does not say where its values are. Save it again")
    return companion(path, name)


def read_values(path: Path, header: Header, start: int) -> Array:
    """Return the values (I, J, ...[, channels]) in the machine's byte order; the first axis varies fastest in the file.

    Raises:
        ImageError: if the values are not numbers, too many, or fewer than the header says.
    """
    dimensions = whole_number(path, header, "ndims", 0, 1, 10)
    channels = whole_number(path, header, "elementnumberofchannels", 1, 1, 2**16)
    sizes = numbers(path, header, "dimsize", dimensions) or []
    if any(not size.is_integer() for size in sizes):
        raise ImageError(f"{path}: damaged: dimsize is {header['dimsize']!r:.50} in its header; expected whole numbers")
    shape = tuple(int(size) for size in sizes)
    check_size(path, (*shape, channels) if channels > 1 else shape)
    kind = header["elementtype"].upper().removesuffix("_ARRAY")
    if kind not in _TYPES:
        raise ImageError(f"{path}: values of the type {kind!r:.50}; expected whole or floating-point numbers")
    is_big = any(_is_true(header, name) for name in ("elementbyteordermsb", "binarydatabyteordermsb"))
    dtype, count = np.dtype((">" if is_big else "<") + _TYPES[kind]), prod(shape) * channels
    own = data_file(path, header)
    with SparingFile(own or path) as file:
        skipped = whole_number(path, header, "headersize", 0, -1, _MAX_SKIPPED)
        if own is None:
            file.seek(start)
        elif skipped < 0:
            file.seek(max(0, file.seek(0, 2) - count * dtype.itemsize))
        else:
            file.seek(skipped)
        values = _values(file, header, count, dtype)
    if len(values) < count:
        raise ImageError(f"{path}: damaged or truncated: {len(values):,} values; its header says {count:,}")
    values = values.astype(dtype.newbyteorder("="), copy=False)
    if channels == 1:
        return values.reshape(shape, order="F")
    return np.moveaxis(values.reshape((channels, *shape), order="F"), 0, -1)


def _is_true(header: Header, name: str) -> bool:
    return header.get(name, "").lower() in ("true", "t", "1")


def _values(file: SparingFile, header: Header, count: int, dtype: np.dtype[Any]) -> Array:
    if "binarydata" in header and not _is_true(header, "binarydata"):
        return np.array(file.read().split(maxsplit=count)[:count]).astype(dtype)
    if _is_true(header, "compresseddata"):
        stored = _unpacked(file, count * dtype.itemsize)
    else:
        stored = bytearray()
        while chunk := file.read(min(_CHUNK, count * dtype.itemsize - len(stored))):
            stored += chunk
    return np.frombuffer(stored, dtype, len(stored) // dtype.itemsize)


def _unpacked(file: SparingFile, wanted: int) -> bytearray:
    """Decompress at most ``wanted`` bytes; stop where the compressed values end too early."""
    unpacker = zlib.decompressobj(_ANY_CONTAINER)
    found = bytearray()
    while len(found) < wanted and not unpacker.eof:
        packed = unpacker.unconsumed_tail or file.read(_CHUNK)
        chunk = unpacker.decompress(packed, min(_CHUNK, wanted - len(found)))
        if not packed and not chunk:
            break
        found += chunk
    return found
