"""DICOM files written byte by byte, so that any element can hold anything; no library would write such files."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword

Value = tuple[str, bytes]
"""The type of an element, as it is stated, and its bytes."""
Elements = dict[str, Value]

_LONG = ("OB", "OW", "SQ", "UN", "UT", "UC", "UR", "OF")
"""The types whose length has four bytes."""
_SYNTAX = b"1.2.840.10008.1.2.1"
_STORED = np.random.default_rng(7).integers(900, 1100, (6, 8), np.uint16)
_COLOUR = np.random.default_rng(7).integers(0, 256, (6, 8, 3), np.uint8)

DECIMALS = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
    "RescaleIntercept", "WindowCenter", "WindowWidth",
)  # fmt: skip
INTEGERS = ("SeriesNumber", "InstanceNumber", "NumberOfFrames")
BINARY = (
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue",
)  # fmt: skip
WORDS = ("PhotometricInterpretation", "Modality", "SpecificCharacterSet", "PatientName")
IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")

_BAD_TEXTS = {
    "empty": b"", "blank": b"  ", "NUL": b"\0\0", "separators": b"\\\\\\", "text": b"unknown ", "NaN": b"nan ",
    "infinite": b"inf ", "negative infinite": b"-INF", "beyond the range": b"1e999 ", "hexadecimal": b"0x1F",
    "underscore": b"1_0 ", "unit": b"2.5 mm", "only signs": b"--", "bytes": b"\xff\xfe\x80\x81", "fraction": b"1/2 ",
    "a date": b"20200101 1200",
}  # fmt: skip


@dataclass(frozen=True)
class Blemish:
    """A bad value of one element; ``None`` if it is left out altogether."""

    element: str
    kind: str
    value: Value | None

    def apply(self, elements: Elements) -> Elements:
        """Return the elements of a file with this blemish."""
        others = {name: value for name, value in elements.items() if name != self.element}
        return others if self.value is None else others | {self.element: self.value}

    @property
    def says_nothing(self) -> bool:
        """Whether the element is as good as absent, as many elements may be."""
        return self.value is None or not self.value[1].strip(b" \0\\")


def sound(*, in_colour: bool = False) -> Elements:
    """Return a file without blemishes: a slice of a CT, or a picture in colour."""
    texts = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.3.4", "Modality": "CT",
        "PatientName": "A^B", "PatientID": "7", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.5",
        "FrameOfReferenceUID": "1.2.3.6", "SeriesNumber": "2", "InstanceNumber": "3", "NumberOfFrames": "1",
        "ImagePositionPatient": "-10.5\\20\\3", "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
        "PixelSpacing": "0.75\\0.5", "SliceThickness": "2.5", "SpecificCharacterSet": "ISO_IR 100",
    }  # fmt: skip
    numbers = {"Rows": 6, "Columns": 8, "HighBit": 15, "BitsStored": 16, "BitsAllocated": 16, "PixelRepresentation": 0}
    if in_colour:
        texts |= {"PhotometricInterpretation": "RGB"}
        numbers |= {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "HighBit": 7, "BitsStored": 8, "BitsAllocated": 8}
        pixels = ("OB", _COLOUR.tobytes())
    else:
        texts |= {"PhotometricInterpretation": "MONOCHROME2", "RescaleSlope": "1", "RescaleIntercept": "-1024"}
        texts |= {"WindowCenter": "0", "WindowWidth": "150"}
        numbers |= {"SamplesPerPixel": 1, "PixelPaddingValue": 1050}
        pixels = ("OW", _STORED.tobytes())
    found: Elements = {name: (_type(name), text.encode()) for name, text in texts.items()}
    found |= {name: ("US", struct.pack("<H", number)) for name, number in numbers.items()}
    return found | {"PixelData": pixels}


def _type(name: str) -> str:
    kind = dictionary_VR(name)
    return "US" if kind == "US or SS" else kind


def write(path: Path, elements: Elements) -> Path:
    """Write elements as they are, in explicit little endian; lengths are made even."""
    path.write_bytes(bytes(128) + b"DICM" + _encoded({"TransferSyntaxUID": ("UI", _SYNTAX)}) + _encoded(elements))
    return path


def _encoded(elements: Elements) -> bytes:
    parts = []
    for tag, (kind, value) in sorted((tag_for_keyword(name) or 0, value) for name, value in elements.items()):
        even = value + (b"\0" if kind in ("UI", "OB", "UN") else b" ") * (len(value) % 2)
        length = struct.pack("<HI", 0, len(even)) if kind in _LONG else struct.pack("<H", len(even))
        parts.append(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind.encode() + length + even)
    return b"".join(parts)


def blemishes() -> list[Blemish]:
    """Return every blemish of a CT slice: each kind of bad value in each element that it makes sense in."""
    found = [Blemish(name, "absent", None) for name in sound()]
    for names, values_of in (
        (DECIMALS + INTEGERS, _of_texts), (BINARY, _of_binary), (WORDS, _of_words), (IDENTIFIERS, _of_identifiers),
    ):  # fmt: skip
        found += [Blemish(name, kind, value) for name in names for kind, value in values_of(*sound()[name])]
    found += [Blemish(name, kind, (_type(name), value)) for name, kind, value in _out_of_range()]
    kind, pixels = sound()["PixelData"]
    changed = {
        "cut": pixels[:-2], "cut by half": pixels[:48], "empty": b"", "padded": pixels + b"\0\0", "doubled": pixels * 2,
        "with a trailer": pixels + b"\0" * 40,
    }  # fmt: skip
    found += [Blemish("PixelData", what, (kind, value)) for what, value in changed.items()]
    return [*found, Blemish("PixelData", "as UN", ("UN", pixels))]


def _of_texts(kind: str, value: bytes) -> Iterator[tuple[str, Value]]:
    first, *others = value.split(b"\\")
    digits = [one + (b"0" * 20 if b"." in one else b".".ljust(20, b"0")) for one in (first, *others)]
    values = _BAD_TEXTS | {
        "decimal comma": value.replace(b".", b","), "with spaces": b" " + value.replace(b"\\", b" \\ ") + b" ",
        "with NUL at the end": value + b"\0", "with a sign": value if first[:1] == b"-" else b"+" + value,
        "too many": value + b"\\" + first, "many too many": b"\\".join([value] * 40), "too few": b"\\".join(others),
        "the first empty": b"\\".join([b"", *others]), "the last NaN": b"\\".join([*(first, *others)[:-1], b"nan"]),
        "many digits": b"\\".join(digits),
    }  # fmt: skip
    yield from ((what, (kind, text)) for what, text in values.items())
    yield from ((f"as {other}", (other, value)) for other in ("LO", "UN", "OB", "PN", "FD", "SQ"))


def _of_binary(kind: str, value: bytes) -> Iterator[tuple[str, Value]]:
    number = struct.unpack("<H", value)[0]
    yield from {
        "empty": (kind, b""), "three bytes": (kind, value + b"\0"), "many": (kind, value * 5),
        "as DS": ("DS", str(number).encode()), "as IS": ("IS", str(number).encode()),
        "as SS": ("SS", struct.pack("<h", number)), "as UL": ("UL", struct.pack("<I", number)), "as UN": ("UN", value),
        "as OW": ("OW", value), "word": ("LO", b"many"), "as FL": ("FL", struct.pack("<f", number)),
        "NaN": ("FL", struct.pack("<f", np.nan)), "as SQ": ("SQ", b""), "largest": (kind, b"\xff\xff"),
        "zero": (kind, b"\0\0"), "seven": (kind, b"\7\0"), "eight": (kind, b"\x08\0"), "thirty-two": (kind, b"\x20\0"),
        "big endian": (kind, struct.pack(">H", number)),
    }.items()  # fmt: skip


def _of_words(kind: str, value: bytes) -> Iterator[tuple[str, Value]]:
    values = {
        "empty": b"", "blank": b"  ", "lower case": value.lower(), "with spaces": b"  " + value + b"  ",
        "NUL": value + b"\0\0", "nonsense": b"SOMETHING ELSE", "several": value + b"\\" + value,
        "bytes": b"\xff\xfe\x80", "very long": value * 30,
    }  # fmt: skip
    yield from ((what, (kind, text)) for what, text in values.items())
    yield from ((f"as {other}", (other, value)) for other in ("LO", "UN", "OB", "SQ"))


def _of_identifiers(kind: str, value: bytes) -> Iterator[tuple[str, Value]]:
    values = {
        "empty": b"", "NUL": b"\0\0", "with spaces": b" " + value + b"  ", "letters": b"abc", "very long": value * 20,
        "leading zero": b"1.02.3", "bytes": b"\xff\xfe\x80", "several": value + b"\\" + value,
    }  # fmt: skip
    yield from ((what, (kind, text)) for what, text in values.items())
    yield from ((f"as {other}", (other, value)) for other in ("LO", "UN", "SQ"))


def _out_of_range() -> Iterator[tuple[str, str, bytes]]:
    for number in (b"0", b"-1", b"-0.5"):
        yield "PixelSpacing", number.decode(), number + b"\\" + number
        yield "SliceThickness", number.decode(), number
        yield "WindowWidth", number.decode(), number
    yield "RescaleSlope", "zero", b"0"
    for vectors in (
        b"0\\0\\0\\0\\0\\0",
        b"1\\0\\0\\1\\0\\0",
        b"1\\0\\0\\0\\0\\0",
        b"9\\9\\9\\9\\9\\9",
        b"4\\0\\0\\0\\4\\0",
    ):
        yield "ImageOrientationPatient", vectors.decode(), vectors
    for word in (b"RGB", b"YBR_FULL", b"PALETTE COLOR", b"MONOCHROME", b"GRAYSCALE", b"monochrome 2"):
        yield "PhotometricInterpretation", word.decode(), word


def blemishes_in_colour() -> list[Blemish]:
    """Return blemishes of the elements that are about colour."""
    found = []
    for name in ("PlanarConfiguration", "SamplesPerPixel"):
        values: dict[str, Value | None] = {
            "absent": None, "empty": ("US", b""), "seven": ("US", b"\7\0"), "largest": ("US", b"\xff\xff"),
            "as IS": ("IS", str(sound(in_colour=True)[name][1][0]).encode()), "word": ("LO", b"many"),
            "NaN": ("FL", struct.pack("<f", np.nan)),
        }  # fmt: skip
        found += [Blemish(name, what, value) for what, value in values.items()]
    found.append(Blemish("SamplesPerPixel", "one", ("US", b"\1\0")))
    words = (b"", b"rgb", b" RGB ", b"MONOCHROME2", b"PALETTE COLOR", b"nonsense", b"BGR", b"RGB\0", b"RGB\\RGB")
    return found + [Blemish("PhotometricInterpretation", repr(word), ("CS", word)) for word in words]
