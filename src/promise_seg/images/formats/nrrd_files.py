"""Read the header and the values of NRRD files safely, whatever they contain. Headers are parsed by ``pynrrd``.

The values are read here, because ``pynrrd`` decompresses a whole file, however large, and opens any file that a header
names.

Source: https://teem.sourceforge.net/nrrd/format.html
"""

import bz2
import gzip
import re
from collections.abc import Callable
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import nrrd
import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.companions import companion
from promise_seg.images.formats.limits import SparingFile, check_size

_MAX_HEADER = 2**20
"""The greatest length of a header in bytes."""
_MAX_SKIPPED = 2**26
"""The greatest number of bytes, and of lines, between the header and the values."""
_CHUNK = 2**20
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_CODES = {name: code for code, names in _TYPES.items() for name in names}
_ORDERS = {"little": "<", "big": ">"}
_UNPACKERS: dict[str, Callable[[Any], Any]] = {"gzip": gzip.open, "gz": gzip.open, "bzip2": bz2.open, "bz2": bz2.open}
_TEXT = ("ascii", "text", "txt")
_SEVERAL = re.compile(r"^LIST(\s|$)|%0?\d*d.*(\s-?\d+){3}")
"""A list of files after the header, or a pattern of names with its first number, last number and step."""

Header = dict[str, Any]
"""Fields by their names, in lower case and without spaces, as ``pynrrd`` parses them."""


def read_header(path: Path) -> tuple[Header, int]:
    """Return the fields of a header, and its length in bytes.

    Raises:
        ImageError: if the header does not end, lacks a required field, or the whole file is packed with gzip.
    """
    with SparingFile(path) as file:
        head = file.read(_MAX_HEADER + 1)
    if head[:2] == b"\x1f\x8b":
        raise ImageError(f"{path}: an NRRD file that was packed with gzip as a whole; unpack it first")
    lines, size = [], 0
    for line in BytesIO(head):
        lines.append(line.decode("utf-8", "replace"))
        size += len(line)
        if not line.strip():
            break
    if size > _MAX_HEADER:
        raise ImageError(f"{path}: damaged: its header does not end within {_MAX_HEADER:,} bytes")
    if not lines or not re.fullmatch(r"NRRD000[1-5]\s*", lines[0]):
        raise ImageError(f"{path}: damaged, or an NRRD file of an unknown version; expected NRRD0001 to NRRD0005")
    header = {name.replace(" ", "").lower(): value for name, value in nrrd.read_header(lines).items()}
    for name in ("type", "dimension", "sizes", "encoding"):
        if name not in header:
            raise ImageError(f"{path}: damaged: its header has no field {name!r}")
    return header, size


def data_file(path: Path, header: Header) -> Path | None:
    """Return the data file; ``None`` if the values are in the header's own file.

    Raises:
        ImageError: if the data file is outside the folder or missing, or there are several.
    """
    name = header.get("datafile")
    if name is None:
        return None
    if _SEVERAL.search(name):
        raise ImageError(f"{path}: its values are in several files ({name:.100}); expected one. Save it as one .nrrd")
    return companion(path, name)


def read_values(path: Path, header: Header, start: int) -> Array:
    """Return the values in the machine's byte order; the first axis varies fastest in the file.

    Raises:
        ImageError: if the values are not numbers, too many, of an unknown encoding, or fewer than the header says.
    """
    shape = tuple(int(size) for size in header["sizes"])
    check_size(path, shape)
    if len(shape) != header["dimension"]:
        raise ImageError(f"{path}: damaged: {len(shape)} sizes for {header['dimension']} dimensions in its header")
    kind, encoding = str(header["type"]).lower(), str(header["encoding"]).lower()
    if kind not in _CODES:
        raise ImageError(f"{path}: values of the type {kind!r:.50}; expected whole or floating-point numbers")
    if encoding not in ("raw", *_TEXT, *_UNPACKERS):
        raise ImageError(f"{path}: encoding {encoding!r:.50}; expected raw, ascii, gzip or bzip2. Save it as gzip")
    dtype, count = np.dtype(_CODES[kind]), prod(shape)
    if dtype.itemsize > 1 and encoding not in _TEXT:
        dtype = np.dtype(_order(path, header) + _CODES[kind])
    with SparingFile(data_file(path, header) or path) as file:
        if header.get("datafile") is None:
            file.seek(start)
        for _ in range(_skipped(path, header, "lineskip", 0)):
            if not file.readline():
                break
        skipped = _skipped(path, header, "byteskip", 0 if encoding in _UNPACKERS else -1)
        if encoding in _TEXT:
            file.seek(max(0, skipped), 1)
            values = _parsed(file, count, dtype)
        else:
            own = start if header.get("datafile") is None else 0
            stored = _stored(file, encoding, skipped, count * dtype.itemsize, own)
            values = np.frombuffer(stored, dtype, len(stored) // dtype.itemsize)
    if len(values) < count:
        raise ImageError(f"{path}: damaged or truncated: {len(values):,} values; its header says {count:,}")
    return values.astype(dtype.newbyteorder("="), copy=False).reshape(shape, order="F")


def _order(path: Path, header: Header) -> str:
    order = str(header.get("endian")).lower()
    if order not in _ORDERS:
        raise ImageError(f"{path}: damaged: endian is {order!r:.50} in its header; expected little or big")
    return _ORDERS[order]


def _skipped(path: Path, header: Header, name: str, least: int) -> int:
    """Return the number of bytes or lines to skip; -1 bytes means that the values are at the end of the file."""
    found = int(header.get(name, 0))
    if not least <= found <= _MAX_SKIPPED:
        raise ImageError(f"{path}: {name} is {found} in its header; expected a number from {least} to {_MAX_SKIPPED:,}")
    return found


def _stored(file: SparingFile, encoding: str, skipped: int, wanted: int, start: int) -> bytearray:
    """Read at most ``wanted`` decompressed bytes after ``skipped`` ones, none before ``start``, after the header."""
    if skipped < 0:
        end = file.seek(0, 2)
        file.seek(max(start, end - wanted))
        skipped = 0
    if encoding == "raw":
        file.seek(skipped, 1)
        return _read(file, wanted)
    with _UNPACKERS[encoding](file) as unpacked:
        _read(unpacked, skipped)
        return _read(unpacked, wanted)


def _read(file: BinaryIO | SparingFile, wanted: int) -> bytearray:
    """Read in chunks, because Python reserves the requested size; stop where a packed file ends too early."""
    found = bytearray()
    try:
        while len(found) < wanted and (chunk := file.read(min(_CHUNK, wanted - len(found)))):
            found += chunk
    except EOFError:
        pass
    return found


def _parsed(file: SparingFile, count: int, dtype: np.dtype[Any]) -> Array:
    return np.array(file.read().split(maxsplit=count)[:count]).astype(dtype)
