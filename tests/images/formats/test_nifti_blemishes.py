"""NIfTI headers with blemishes: the same values as without them, or a note, or an error that names the field."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from tests.images.formats.nifti_blemishes import (
    INF,
    NAN,
    SHAPE,
    VALUES,
    Fields,
    HeaderBlemish,
    file_of,
    header_blemishes,
    sound_fields,
)

BLEMISHES = header_blemishes()
NO_SFORM, NO_QFORM = {"sform_code": (0,)}, {"qform_code": (0,)}
PLACES = {"both": {}, "sform": NO_QFORM, "qform": NO_SFORM, "neither": NO_SFORM | NO_QFORM}
_WORDS = {
    "srow_x": "sform", "srow_y": "sform", "srow_z": "sform", "quatern": "qform", "qoffset": "qform",
    "magic": "magic|pair", "dim": "dim|as its size",
}  # fmt: skip
"""The words by which a message names a field, where they are not its name."""
_STATEMENTS = {
    ("sform_code", "0"), ("sform_code", "99"), ("sform_code", "-1"), ("qform_code", "0"), ("qform_code", "99"),
    ("qform_code", "-1"), ("pixdim", "0: -1.0"), ("xyzt_units", "3"),
}  # fmt: skip
"""What is no blemish everywhere: a transform that is not there, a flip, and micrometres."""


@dataclass(frozen=True)
class Seen:
    """The content of a file as it is read; ``array`` is in the order of the file."""

    array: Array
    slices: Array
    spacing: tuple[float, float] | None
    affine: Float64Array
    notes: str


def look(path: Path, fields: Fields) -> Seen:
    path.write_bytes(file_of(fields))
    source = open_source(path)
    assert source.frame is not None
    slices = np.stack([source.values(index) for index in range(len(source))])
    return Seen(source.array, slices, source.spacing, source.frame.affine, " ".join(source.notes))


def fault_of(path: Path, fields: Fields, blemish: HeaderBlemish, expected: Seen) -> str | None:
    """Return what is wrong with how a file is read, if anything."""
    words = _WORDS.get(blemish.field, blemish.field).split("|")
    try:
        seen = look(path, fields)
    except ImageError as error:
        text = str(error)
        is_clear = text.startswith(f"{path}: ") and "\n" not in text and any(word in text for word in words)
        return None if is_clear else f"not one line about the field: {text}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if not np.isfinite([*(seen.spacing or ()), *seen.affine.ravel()]).all():
        return f"numbers that are none: {seen.spacing}, {seen.affine}"
    same_values = np.array_equal(seen.array, expected.array)
    same = same_values and np.array_equal(seen.slices, expected.slices) and np.allclose(seen.affine, expected.affine)
    same = same and (seen.spacing == expected.spacing or np.allclose(seen.spacing or NAN, expected.spacing or NAN))
    is_told = any(word in seen.notes for word in words)
    is_statement = same_values and (blemish.field, blemish.kind) in _STATEMENTS
    return None if same or is_told or is_statement else f"read otherwise without a note: {seen.notes!r}"


def test_there_are_enough_of_all_kinds():
    assert len(BLEMISHES) >= 200
    assert len({(one.field, one.kind) for one in BLEMISHES}) == len(BLEMISHES)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.filterwarnings("error")
def test_each_blemish(tmp_path, place):
    sound = sound_fields() | PLACES[place]
    expected = look(tmp_path / "sound.nii", sound)
    assert np.array_equal(expected.array, VALUES)
    assert not expected.notes
    faults = {}
    for number, blemish in enumerate(BLEMISHES):
        fields = sound | {blemish.field: blemish.value}
        if blemish.field in PLACES[place]:
            continue  # with another code it is of another place
        if fault := fault_of(tmp_path / f"{number}.nii", fields, blemish, expected):
            faults[blemish.field, blemish.kind] = fault
    assert not faults


@pytest.mark.parametrize("value", [NAN, INF, 1e30])
def test_a_sform_that_is_none_leaves_the_qform(tmp_path, value):
    expected = look(tmp_path / "sound.nii", sound_fields())
    seen = look(tmp_path / "a.nii", sound_fields() | {"srow_y": (0.0, value, 0.0, 4.0)})
    assert "does not define a position in space, and its qform is used" in seen.notes
    assert np.allclose(seen.affine, expected.affine)
    assert np.array_equal(seen.slices, expected.slices)


@pytest.mark.parametrize("size", [0.0, NAN, INF])
@pytest.mark.parametrize("place", ["qform", "neither"])
def test_without_sizes_of_voxels_the_spacing_is_unknown(tmp_path, size, place):
    fields = sound_fields() | PLACES[place] | {"pixdim": (1.0, 0.5, size, 3.0, 1.0, 1.0, 1.0, 1.0)}
    seen = look(tmp_path / "a.nii", fields)
    assert seen.spacing is None
    assert "so that its spacing is unknown" in seen.notes
    assert np.array_equal(seen.array, VALUES)


def test_a_quaternion_that_is_too_long_is_read_as_a_rotation(tmp_path):
    turned = look(tmp_path / "a.nii", sound_fields() | NO_SFORM | {"quatern": (1.0, 0.0, 0.0)})
    longer = look(tmp_path / "b.nii", sound_fields() | NO_SFORM | {"quatern": (1.5, 0.0, 0.0)})
    assert np.allclose(turned.affine, longer.affine)
    assert np.array_equal(turned.slices, longer.slices)
    assert "longer than 1" in longer.notes
    assert not turned.notes


@pytest.mark.parametrize(("units", "factor"), [(3, 1e-3), (3 | 8, 1e-3), (2, 1.0), (0, 1.0)])
def test_units_of_space_count_for_the_spacing(tmp_path, units, factor):
    seen = look(tmp_path / "a.nii", sound_fields() | {"xyzt_units": (units,)})
    assert seen.spacing == pytest.approx((0.75 * factor, 0.5 * factor))
    assert not seen.notes


def test_metres_count_only_where_they_can_be_meant(tmp_path):
    small = {"srow_x": (5e-4, 0.0, 0.0, 0.0), "srow_y": (0.0, 7e-4, 0.0, 0.0), "srow_z": (0.0, 0.0, 3e-3, 0.0)}
    seen = look(tmp_path / "a.nii", sound_fields() | small | {"xyzt_units": (1,)})
    assert seen.spacing == pytest.approx((0.7, 0.5))
    seen = look(tmp_path / "b.nii", sound_fields() | {"xyzt_units": (1,)})
    assert seen.spacing == pytest.approx((0.75, 0.5))
    assert "xyzt_units are metres" in seen.notes


def test_a_single_slice_without_a_third_direction_gets_its_normal(tmp_path):
    flat = {"dim": (3, *SHAPE[:2], 1, 1, 1, 1, 1), "srow_z": (0.0, 0.0, 0.0, 7.0)}
    (tmp_path / "a.nii").write_bytes(file_of(sound_fields() | flat)[: 352 + 60])
    source = open_source(tmp_path / "a.nii")
    assert source.spacing == pytest.approx((0.75, 0.5))
    assert not source.notes
    assert np.array_equal(source.array, VALUES[..., :1])


def test_what_is_behind_the_values_is_told(tmp_path):
    (tmp_path / "a.nii").write_bytes(file_of(sound_fields()) + b"\0\0")
    assert "it has more bytes than its dim (6 x 5 x 4) need" in open_source(tmp_path / "a.nii").notes[0]
