"""NIfTI headers with bad values in single fields, written byte by byte."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NAN, INF = float("nan"), float("inf")
SHAPE = (6, 5, 4)
VALUES = np.random.default_rng(3).integers(-50, 400, SHAPE).astype(np.int16)

_FIELDS = {
    "sizeof_hdr": (0, "i"), "dim_info": (39, "B"), "dim": (40, "8h"), "intent_p1": (56, "f"), "intent_code": (68, "h"),
    "datatype": (70, "h"), "bitpix": (72, "h"), "slice_start": (74, "h"), "pixdim": (76, "8f"),
    "vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f"), "slice_end": (120, "h"),
    "slice_code": (122, "B"),
    "xyzt_units": (123, "B"), "cal_max": (124, "f"), "cal_min": (128, "f"), "slice_duration": (132, "f"),
    "toffset": (136, "f"), "descrip": (148, "80s"), "qform_code": (252, "h"), "sform_code": (254, "h"),
    "quatern": (256, "3f"), "qoffset": (268, "3f"), "srow_x": (280, "4f"), "srow_y": (296, "4f"), "srow_z": (312, "4f"),
    "magic": (344, "4s"),
}  # fmt: skip
"""Where a field of NIfTI-1 begins, and its type."""

Fields = dict[str, tuple[object, ...]]


@dataclass(frozen=True)
class HeaderBlemish:
    """A bad value of one field."""

    field: str
    kind: str
    value: tuple[object, ...]


def sound_fields() -> Fields:
    """Return the header of a file without blemishes: an sform and a qform that say the same."""
    return {
        "sizeof_hdr": (348,), "dim": (3, *SHAPE, 1, 1, 1, 1), "datatype": (4,), "bitpix": (16,),
        "pixdim": (1.0, 0.5, 0.75, 3.0, 1.0, 1.0, 1.0, 1.0), "vox_offset": (352.0,), "xyzt_units": (2,),
        "scl_slope": (1.0,), "scl_inter": (0.0,), "qform_code": (1,), "sform_code": (1,),
        "quatern": (0.0, 0.0, 0.0), "qoffset": (-9.0, 4.0, 7.0),
        "srow_x": (0.5, 0.0, 0.0, -9.0), "srow_y": (0.0, 0.75, 0.0, 4.0), "srow_z": (0.0, 0.0, 3.0, 7.0),
        "magic": (b"n+1\0",),
    }  # fmt: skip


def file_of(fields: Fields) -> bytes:
    """Return a file with such a header."""
    header = bytearray(352)
    for name, values in fields.items():
        at, kind = _FIELDS[name]
        struct.pack_into(f"<{kind}", header, at, *values)
    return bytes(header) + VALUES.tobytes(order="F")


def header_blemishes() -> list[HeaderBlemish]:
    """Return every blemish."""
    found = []
    for field, values in _single_values().items():
        found += [HeaderBlemish(field, f"{value!r}", (value,)) for value in values]
    found += [HeaderBlemish("pixdim", f"{at}: {value}", _with("pixdim", at, value)) for at, value in _sizes()]
    found += [HeaderBlemish("dim", f"{at}: {value}", _with("dim", at, value)) for at, value in _dimensions()]
    for field, count in (("quatern", 3), ("qoffset", 3), ("srow_x", 4), ("srow_y", 4), ("srow_z", 4)):
        for at in range(count):
            for value in (NAN, INF, -INF, 1e30) if field != "quatern" else (NAN, INF, 1.5, -7.0):
                found.append(HeaderBlemish(field, f"{at}: {value}", _with(field, at, value)))
    for field in ("srow_x", "srow_y", "srow_z"):
        found.append(HeaderBlemish(field, "zeros", (0.0, 0.0, 0.0, 0.0)))
    return found


def _with(field: str, at: int, value: object) -> tuple[object, ...]:
    values = list(sound_fields()[field])
    values[at] = value
    return tuple(values)


def _single_values() -> dict[str, tuple[object, ...]]:
    numbers = (NAN, INF, -INF, -1.0, 1e30)
    return {
        "sform_code": (0, 2, 3, 4, 5, 99, -1), "qform_code": (0, 2, 3, 4, 5, 99, -1),
        "scl_slope": (0.0, NAN, INF, -INF), "scl_inter": (NAN, INF, -INF),
        "vox_offset": (0.0, 16.0, 348.0, NAN, -4.0, 1e9, 352.5), "xyzt_units": (0, 1, 3, 7, 8, 10, 16, 255),
        "magic": (b"n+1 ", b"", b"N+1\0", b"ni1\0", b"n+2\0", b"\xff\xff\xff\xff"),
        "intent_code": (1001, 1002, 1007, 2003, -1, 32767), "intent_p1": numbers, "sizeof_hdr": (0, 540, 347, -1),
        "bitpix": (0, 8, 32, -1), "datatype": (0, 1, 3, 255, 9999, -4), "dim_info": (255,), "slice_start": (-5, 99),
        "slice_end": (-5, 99), "slice_code": (200,), "slice_duration": numbers,
        "cal_max": (NAN, INF, -INF, -1.0), "cal_min": (NAN, INF, -INF, 1e30),
        "toffset": numbers, "descrip": (b"\xff" * 80,),
    }  # fmt: skip


def _sizes() -> Iterator[tuple[int, float]]:
    for at in (1, 2, 3):
        yield from ((at, value) for value in (0.0, -1.0, -0.5, NAN, INF, -INF, 1e30))
    yield from ((0, value) for value in (0.0, -1.0, 2.0, NAN, INF))
    yield from ((4, value) for value in (0.0, -1.0, NAN, INF))
    yield from ((7, value) for value in (-1.0, NAN))


def _dimensions() -> Iterator[tuple[int, int]]:
    yield from ((0, value) for value in (0, 1, 2, 4, 7, 8, -1, 32767, 768))
    for at in (1, 2, 3):
        yield from ((at, value) for value in (0, -1, SHAPE[at - 1] + 1, SHAPE[at - 1] - 1, 32767))
    yield from ((4, value) for value in (0, -1, 2, 32767))
    yield from ((7, value) for value in (0, -1, 9))
