"""Lookup tables of DICOM images, for values and for grey levels. Source: DICOM PS3.3, C.11.1.1 and C.11.2.1.1.

``pydicom`` reads neither tables of 8 bits that are stored in 8 bits each, as the standard allows, nor tables of 8 bits
with more than 256 entries.
"""

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Array

_FEWEST_BITS, _MOST_BITS = 8, 16
_LARGEST_BYTE = 255


def look_up(values: Array, table: Dataset, facts: Dataset) -> Array:
    """Return the entries of a table for values (H, W): uint8 if they have 8 bits, otherwise uint16.

    Values before the first entry, and after the last one, become these entries.

    Args:
        values: whole numbers of any type.
        table: item with ``LUTDescriptor`` and ``LUTData``.
        facts: data set whose ``file_meta`` defines the byte order.

    Raises:
        ValueError: if the table has fewer entries than it declares, or entries of an unknown size.
    """
    entries = _entries(table, facts)
    return entries[np.clip(_indices(values, table), 0, len(entries) - 1)]


def bits_of(table: Dataset) -> int:
    """Return the number of bits of each entry.

    Raises:
        ValueError: if it is not 8 to 16.
    """
    bits = int(table.LUTDescriptor[2])
    if not _FEWEST_BITS <= bits <= _MOST_BITS:
        raise ValueError(f"its lookup table has entries of {bits} bits; expected {_FEWEST_BITS} to {_MOST_BITS}")
    return bits


def is_long_table_of_bytes(table: Dataset) -> bool:
    """Whether a table has entries of 8 bits and more than 256 of them."""
    return int(table.LUTDescriptor[2]) == _FEWEST_BITS and _count(table) > _LARGEST_BYTE + 1


def goes_beyond_a_byte(values: Array, table: Dataset) -> bool:
    """Whether values (H, W) use entries after the 256th of a table of 8 bits, which early versions read wrongly."""
    return is_long_table_of_bytes(table) and bool((_indices(values, table) > _LARGEST_BYTE).any())


def _count(table: Dataset) -> int:
    return int(table.LUTDescriptor[0]) or 2**16


def _indices(values: Array, table: Dataset) -> Array:
    return np.asarray(values).astype(np.int64) - int(table.LUTDescriptor[1])


def _entries(table: Dataset, facts: Dataset) -> Array:
    count, bits, data = _count(table), bits_of(table), table.LUTData
    if isinstance(data, bytes):
        meta = getattr(facts, "file_meta", None)
        syntax = None if meta is None else meta.get("TransferSyntaxUID")
        order = "<" if syntax is None or syntax.is_little_endian else ">"
        words = np.frombuffer(data + b"\0" * (len(data) % 2), f"{order}u2")
    else:
        words = np.atleast_1d(np.asarray(data, np.uint16))
    if bits == _FEWEST_BITS and len(words) == (count + 1) // 2 and count > 1:
        words = words.astype("<u2").view(np.uint8)  # two entries in each word
    if len(words) < count:
        raise ValueError(f"its lookup table declares {count:,} entries and has {len(words):,}")
    entries = words[:count]
    if bits == _FEWEST_BITS and entries.max() > _LARGEST_BYTE:
        raise ValueError(f"its lookup table has entries of 8 bits, but one is {entries.max()}")
    return entries.astype(np.uint8 if bits == _FEWEST_BITS else np.uint16)
