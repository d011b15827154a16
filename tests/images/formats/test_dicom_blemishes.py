"""Headers with blemishes: the same pixels as without them, with a note; or an error that names the element."""

import random
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from promise_seg.arrays import Array, Float64Array, Uint8Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from tests.images.formats.blemishes import Blemish, Elements, blemishes, blemishes_in_colour, sound, write

_WORDS_OF_PYTHON = re.compile(r"NoneType|object|invalid literal|Traceback|argument|struct|bytes-like|\bVR\b")
_UNNAMED = {
    ("PixelData", "absent"),  # no image at all, which is said by the class of the file
    ("SpecificCharacterSet", "as OB"),  # pydicom ends before it has an element
}
_HARMLESS = {("SliceThickness", "0")}  # as good as none
GREY, COLOUR = blemishes(), blemishes_in_colour()


@dataclass(frozen=True)
class Seen:
    """The content of a file as it is read."""

    values: Array
    window: Uint8Array
    spacing: tuple[float, float] | None
    affine: Float64Array | None
    notes: str


def look(path: Path) -> Seen:
    source = open_source(path)
    affine = None if source.frame is None else source.frame.affine
    return Seen(source.values(0), source.own_window(0), source.spacing, affine, " ".join(source.notes))


def differences(one: Seen, other: Seen) -> set[str]:
    """Return what two files differ in."""
    same = {
        "values": np.array_equal(one.values, other.values, equal_nan=one.values.dtype.kind == "f"),
        "window": np.array_equal(one.window, other.window),
        "spacing": one.spacing == other.spacing,
        "place": one.affine is other.affine is None,
    }
    if one.affine is not None and other.affine is not None:
        same["place"] = np.allclose(one.affine, other.affine)
    return {name for name, is_same in same.items() if not is_same}


def read(path: Path, elements: Elements) -> Seen | Exception:
    """Return the content of a file, or whatever reading it raises."""
    try:
        return look(write(path, elements))
    except Exception as error:
        return error


def fault_of(path: Path, found: Seen | Exception, changed: list[Blemish], expected: Seen) -> str | None:
    """Return what is wrong with how a file was read, if anything."""
    names = {blemish.element for blemish in changed}
    known = {(blemish.element, blemish.kind) for blemish in changed}
    if isinstance(found, ImageError):
        text = str(found)
        if not text.startswith(f"{path}: ") or "\n" in text:
            return f"not one line about the file: {text}"
        is_clear = any(name in text for name in names) and not _WORDS_OF_PYTHON.search(text)
        return None if is_clear or known & _UNNAMED else f"does not say which element: {text}"
    if isinstance(found, Exception):
        return f"{type(found).__name__}: {found}"
    numbers = [*(found.spacing or ()), *([] if found.affine is None else found.affine.ravel())]
    if not np.isfinite(numbers).all():
        return f"numbers that are none: {numbers}"
    differs = differences(found, expected)
    is_told = any(name in found.notes for name in names)
    is_harmless = "values" not in differs and (any(one.says_nothing for one in changed) or bool(known & _HARMLESS))
    if differs and not (is_told or is_harmless):
        return f"other {', '.join(sorted(differs))} without a note: {found.notes!r}"
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("blemishes")


@pytest.fixture(scope="module")
def expected(folder) -> Seen:
    return look(write(folder / "sound.dcm", sound()))


@pytest.fixture(scope="module")
def all_read(folder) -> list[Seen | Exception]:
    return [read(folder / f"{number}.dcm", blemish.apply(sound())) for number, blemish in enumerate(GREY)]


def test_there_are_enough_of_all_kinds():
    assert len(GREY) >= 500
    assert len({(one.element, one.kind) for one in GREY}) == len(GREY)
    assert {one.element for one in GREY} == sound().keys()


def test_each_blemish(folder, expected, all_read):
    assert not expected.notes
    faults = {}
    for number, (blemish, found) in enumerate(zip(GREY, all_read, strict=True)):
        if fault := fault_of(folder / f"{number}.dcm", found, [blemish], expected):
            faults[blemish.element, blemish.kind] = fault
    assert not faults


def test_only_what_no_program_can_do_without_is_refused(all_read):
    refused = [one for one, found in zip(GREY, all_read, strict=True) if isinstance(found, ImageError)]
    assert {one.element for one in refused} <= {
        "Rows", "Columns", "NumberOfFrames", "PixelData", "BitsStored", "BitsAllocated", "SpecificCharacterSet",
    }  # fmt: skip
    assert 10 < len(refused) < 60


def test_each_blemish_of_pictures_in_colour(tmp_path):
    in_colour = sound(in_colour=True)
    expected = look(write(tmp_path / "sound.dcm", in_colour))
    assert not expected.notes
    faults = {}
    for number, blemish in enumerate(COLOUR):
        path = tmp_path / f"{number}.dcm"
        if fault := fault_of(path, read(path, blemish.apply(in_colour)), [blemish], expected):
            faults[blemish.element, blemish.kind] = fault
    assert not faults


@pytest.mark.slow
def test_two_blemishes_at_once(tmp_path, expected):
    chosen = random.Random(0)
    faults = {}
    for number in range(400):
        one, other = chosen.sample(GREY, 2)
        path = tmp_path / f"{number}.dcm"
        found = read(path, other.apply(one.apply(sound())))
        if fault := fault_of(path, found, [one, other], expected):
            faults[one.element, one.kind, other.element, other.kind] = fault
    assert not faults


@pytest.mark.slow
def test_a_series_with_a_blemished_slice(tmp_path):
    """It opens, or its folder or file is named; and pixels are those of the sound series, unless a note says why."""
    faults = []
    for number, blemish in enumerate(GREY[::7]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for at in range(3):
            place = {"ImagePositionPatient": ("DS", f"-10.5\\20\\{3 * at}".encode())}
            elements = sound() | place | {"SOPInstanceUID": ("UI", f"1.2.3.4.{at}".encode())}
            write(folder / f"{at}.dcm", blemish.apply(elements) if at == 1 else elements)
        try:
            source = open_source(folder)
            values = [source.values(index) for index in range(len(source))]
        except ImageError as error:
            if not str(error).startswith(str(folder)) or "\n" in str(error):
                faults.append((blemish, str(error)))
        else:
            same = all(np.array_equal(one, values[0], equal_nan=one.dtype.kind == "f") for one in values)
            if not same and blemish.element not in " ".join(source.notes):
                faults.append((blemish, "other values without a note"))
    assert not faults
