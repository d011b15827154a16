"""Ways to damage a file: bytes to bytes."""

import gzip
import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pydicom
from pydicom import dcmread, uid
from pydicom.dataelem import DataElement

Rng = np.random.Generator
Mutation = Callable[[bytes, Rng], bytes]

EXTREMES = (
    0,
    1,
    2,
    3,
    127,
    128,
    255,
    256,
    4095,
    2**15 - 1,
    2**15,
    2**16 - 1,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
)
LENGTHS = (0, 1, 2, 4, 8, 10, 14, 16, 26, 33, 54, 64, 128, 132, 200, 344, 348, 352, 540, 544)
"""Where headers, and parts of headers, of the formats end."""


def _put(data: bytes, at: int, new: bytes, old: int | None = None) -> bytes:
    return data[:at] + new + data[at + (len(new) if old is None else old) :]


def _at(data: bytes, rng: Rng) -> int:
    """Any place; half of the time near the start, where headers are."""
    return int(rng.integers(0, max(1, min(len(data), 400 if rng.random() < 0.5 else len(data)))))


def cut(data: bytes, rng: Rng) -> bytes:
    """Anywhere, where headers end, or in the middle of a JPEG's markers."""
    ends = [int(rng.choice(LENGTHS)), *(found.end() for found in re.finditer(b"\xff", data))]
    return data[: [_at(data, rng), ends[0], int(rng.choice(ends))][rng.choice(3, p=[0.5, 0.3, 0.2])]]


def flip_bytes(data: bytes, rng: Rng) -> bytes:
    for _ in range(int(rng.integers(1, 9))):
        data = _put(data, _at(data, rng), rng.bytes(1))
    return data


def flip_bit(data: bytes, rng: Rng) -> bytes:
    at = _at(data, rng)
    return _put(data, at, bytes([data[at] ^ 1 << int(rng.integers(8))])) if data else data


def overwrite(data: bytes, rng: Rng) -> bytes:
    length = int(rng.choice([2, 4, 8, 32, 200]))
    return _put(data, _at(data, rng), [b"\0" * length, b"\xff" * length, rng.bytes(length)][rng.integers(3)])


def insert(data: bytes, rng: Rng) -> bytes:
    length = int(rng.choice([1, 2, 8, 100, 3000]))
    return _put(data, _at(data, rng), [b"\0" * length, rng.bytes(length), data[:length]][rng.integers(3)], 0)


def delete(data: bytes, rng: Rng) -> bytes:
    return _put(data, _at(data, rng), b"", int(rng.choice([1, 2, 8, 100])))


def integer(data: bytes, rng: Rng) -> bytes:
    """An extreme number at some place of a header."""
    size, value = int(rng.choice([1, 2, 4, 8])), int(rng.choice(EXTREMES[:-1]))
    order = "little" if rng.random() < 0.5 else "big"
    return _put(data, int(rng.integers(0, 200)), (value % 2 ** (8 * size)).to_bytes(size, order))


def codestream(data: bytes, rng: Rng) -> bytes:
    """An extreme number in the header of a JPEG, JPEG-LS or JPEG 2000 code, wherever it lies."""
    frames = [m.start() + 4 for m in re.finditer(rb"\xff[\xc0-\xc3\xf7](?=\x00)", data)]
    sizes = [m.start() + 2 for m in re.finditer(rb"\xff\x4f\xff\x51", data)]
    if frames and (not sizes or rng.random() < 0.5):
        at, places = int(rng.choice(frames)), ((0, 1), (1, 2), (3, 2), (5, 1), (6, 1), (7, 1))
    elif sizes:
        at, places = int(rng.choice(sizes)), (*((n, 4) for n in range(6, 38, 4)), (38, 2), (40, 1), (41, 1), (42, 1))
    else:
        return integer(data, rng)
    for _ in range(int(rng.integers(1, 3))):
        offset, size = places[rng.integers(len(places))]
        data = _put(data, at + offset, (int(rng.choice(EXTREMES[:-1])) % 2 ** (8 * size)).to_bytes(size, "big"))
    return data


def tiff_tag(data: bytes, rng: Rng) -> bytes:
    """An extreme value, count, type or code of a tag."""
    order = "little" if data[:2] == b"II" else "big"
    wide = data[2:4] in (b"+\0", b"\0+")
    at = int.from_bytes(data[8:16] if wide else data[4:8], order)
    count = int.from_bytes(data[at : at + (8 if wide else 2)], order)
    at += (8 if wide else 2) + int(rng.integers(max(1, count))) * (20 if wide else 12)
    number = 8 if wide else 4
    offset, size = [(4 + number, number), (4 + number, 2), (4, number), (2, 2), (0, 2)][rng.integers(5)]
    return _put(data, at + offset, (int(rng.choice(EXTREMES)) % 2 ** (8 * size)).to_bytes(size, order))


def nifti_field(data: bytes, rng: Rng) -> bytes:
    """An extreme value of one element of one field."""
    second = 540 in (int.from_bytes(data[:4], order) for order in ("little", "big"))
    kind = (nib.Nifti2Header if second else nib.Nifti1Header).template_dtype
    if data[:1] not in b"\\\x1c":  # big-endian
        kind = kind.newbyteorder(">")
    header = np.frombuffer(data[: kind.itemsize], kind).copy()
    name = str(rng.choice(["dim", "datatype", "vox_offset", "pixdim", "scl_slope", "scl_inter", *kind.names]))
    values = header[name].reshape(-1)
    if values.dtype.kind == "f":
        chosen = rng.choice([0, -1, 1e-38, 1e30, np.nan, np.inf, -np.inf, 1e6, 353])
        values[rng.integers(values.size)] = chosen
    elif values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        chosen = int(rng.choice([0, 1, 2, 3, 7, 64, 128, 1280, 4000, -1, 2**40, limits.max, limits.min]))
        values[rng.integers(values.size)] = np.clip(chosen, limits.min, limits.max)
    return header.tobytes() + data[kind.itemsize :]


_HEADER_WORDS = (
    b"", b"-1", b"0", b"1e30", b"nan", b"inf", b"99999999", b"none", b"(0,0,0)", b"(nan,1,1)", b"double", b"block",
    b"gzip", b"raw", b"ascii", b"RGB-color", b"list", b"LPS", b"big", b"/etc/passwd", b"../x", b"\xff\xfe", b"\x1b",
)  # fmt: skip


def nrrd_field(data: bytes, rng: Rng) -> bytes:
    """A line of the header removed or repeated, or one of its words replaced by what it should not be."""
    return _with_other_line(data.split(b"\n\n", 1)[0], data, rng)


def metaimage_field(data: bytes, rng: Rng) -> bytes:
    """The same of a MetaImage, whose header ends with the line that says where the values are."""
    before, last, after = data.partition(b"ElementDataFile")
    return _with_other_line(before + last + after.split(b"\n", 1)[0], data, rng)


def _with_other_line(header: bytes, data: bytes, rng: Rng) -> bytes:
    lines = header.split(b"\n")
    rest = data[len(header) :]
    at, change = int(rng.integers(1, max(2, len(lines)))), rng.random()
    if at < len(lines):
        words = lines[at].split(b" ")
        words[int(rng.integers(len(words)))] = _HEADER_WORDS[rng.integers(len(_HEADER_WORDS))]
        lines[at : at + 1] = [] if change < 0.15 else [lines[at]] * 2 if change < 0.25 else [b" ".join(words)]
    return b"\n".join(lines) + rest


_ELEMENTS = (
    "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel",
    "PixelRepresentation", "PhotometricInterpretation", "PlanarConfiguration", "RescaleSlope", "RescaleIntercept",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "PixelData", "LUTDescriptor", "LUTData",
    "VOILUTSequence", "RedPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData", "SegmentSequence",
    "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "SegmentationType", "InstanceNumber",
    "ReferencedSegmentNumber", "SegmentNumber", "ReferencedSOPInstanceUID", "DimensionIndexValues",
)  # fmt: skip
_TEXTS = ("", "0", "-1", "1e9", "nan", "2147483647", "abc", "1\\2", "1\n2", "1.2.3", "\xe9\xff")
_WORDS = (0, 1, 2, 3, 8, 15, 16, 17, 32, 64, 255, 4000, 2**15, 2**16 - 1)
_SYNTAXES = tuple(map(str, uid.AllTransferSyntaxes))


def dicom_element(data: bytes, rng: Rng) -> bytes:
    """An element removed, emptied, or with a value that it cannot have; or another transfer syntax."""
    dataset = dcmread(io.BytesIO(data), force=True)
    if rng.random() < 0.1:
        old, new = dataset.file_meta.TransferSyntaxUID.encode(), str(rng.choice(_SYNTAXES)).encode()
        return data.replace(old, new[: len(old)].ljust(len(old), b"\0"), 1)
    parts = [dataset, *(item for element in dataset if element.VR == "SQ" for item in element.value)]
    there = [(part, name) for part in parts for name in _ELEMENTS if name in part]
    part, name = there[rng.integers(len(there))]
    element, change = part[name], rng.random()
    if change < 0.12:
        del part[name]
    elif element.VR == "SQ":
        element.value = [] if change < 0.5 else list(element.value) * 2 if change < 0.7 else list(element.value)[:1]
    elif name == "PixelData":
        element.value = element.value[: int(rng.integers(len(element.value)))] if change < 0.5 else b""
    else:
        values = {
            "US": [int(rng.choice(_WORDS))] * (1 if change < 0.9 else 3),
            "OB": rng.bytes(int(rng.choice([0, 2, 6, 300]))),
            "": str(rng.choice(_TEXTS)),
        }
        vr = {"US": "US", "SS": "US", "OW": "OB", "OB": "OB", "UL": "OB"}.get(element.VR, "")
        part[name] = DataElement(element.tag, vr or element.VR, None)
        part[name]._value = values[vr]  # past all checks
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pydicom.dcmwrite(stream, dataset)
    except Exception:  # more nonsense than pydicom can write
        return integer(data, rng)
    return stream.getvalue()


def with_checksums(data: bytes, _: Rng) -> bytes:
    """A PNG whose chunks' checksums fit what is in them now."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        data = _put(data, at + 8 + length, struct.pack(">I", zlib.crc32(data[at + 4 : at + 8 + length])))
        at += 12 + length
    return data


def packed(data: bytes, rng: Rng) -> bytes:
    return gzip.compress(data, mtime=0)


ANY: tuple[Mutation, ...] = (
    cut, cut, flip_bytes, flip_bytes, flip_bit, overwrite, overwrite, insert, delete, integer, integer, codestream
)  # fmt: skip


def mutated(data: bytes, rng: Rng, name: str) -> tuple[str, bytes]:
    """A file with one or two faults, and what they are."""
    inside = data[:2] == b"\x1f\x8b" and rng.random() < 0.6
    if inside:
        data = gzip.decompress(data)
    own: Mutation | None = None
    if data[:2] in (b"II", b"MM"):
        own = tiff_tag
    elif data[:4] in ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"), (540).to_bytes(4, "little")):
        own = nifti_field
    elif data[:4] == b"NRRD":
        own = nrrd_field
    elif data[:10] == b"ObjectType":
        own = metaimage_field
    elif data[128:132] == b"DICM":
        own = dicom_element
    choice = [own] if own and rng.random() < 0.5 else [ANY[i] for i in rng.integers(len(ANY), size=rng.integers(1, 3))]
    for mutation in choice:
        data = mutation(data, rng)
    if data[1:4] == b"PNG" and rng.random() < 0.6:
        choice, data = [*choice, with_checksums], with_checksums(data, rng)
    if inside:
        choice, data = [*choice, packed], packed(data, rng)
    return f"{name}: {', '.join(m.__name__ for m in choice)}", data
