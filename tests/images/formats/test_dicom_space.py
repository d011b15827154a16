"""The affine of a stack: as highdicom has it where that has one, and for the stacks that it refuses."""

import math

import numpy as np
import pydicom
import pytest
from highdicom.spatial import create_affine_matrix_from_attributes, get_volume_positions

from promise_seg.images.formats.dicom_space import stack_affine
from promise_seg.images.formats.opening import open_source
from promise_seg.vocabulary import Axis
from tests.files import write_series

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
NUMBERS = np.arange(6)[:, None]


def oblique(angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return cos, sin, 0.0, -sin * cos, cos * cos, sin


def normal(orientation):
    return np.cross(orientation[:3], orientation[3:])


@pytest.mark.parametrize("orientation", [AXIAL, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), oblique(0.4), oblique(-1.1)])
@pytest.mark.parametrize("step", [2.0, -0.7])
def test_it_is_that_of_highdicom_for_slices_at_right_angles(orientation, step):
    positions = np.array([3.0, -4.0, 5.0]) + NUMBERS * step * normal(orientation)
    found = stack_affine(list(positions), orientation, (0.5, 0.8))
    distance, _ = get_volume_positions(positions, orientation)
    hand = "RIGHT_HANDED" if step < 0 else "LEFT_HANDED"  # of slice, row and column
    expected = create_affine_matrix_from_attributes(
        positions[0], orientation, (0.5, 0.8), distance, index_convention="DR", slices_first=True, handedness=hand
    )
    np.testing.assert_allclose(found, np.diag([-1, -1, 1, 1]) @ expected, atol=1e-9)


@pytest.mark.parametrize(
    ("orientation", "positions"),
    [
        (AXIAL, NUMBERS * [0, -2 * math.tan(0.26), 2.0]),
        (tuple(round(v, 2) for v in oblique(0.4)), np.round(NUMBERS * 2 * normal(oblique(0.4)), 2)),
        (AXIAL, NUMBERS * [0, 0, 2.0] + np.array([[0, 0, v] for v in (0, 0.06, -0.06, 0.05, 0, 0)])),
    ],
    ids=["tilted gantry", "cosines of two decimals", "uneven by 3 %"],
)
def test_stacks_of_hospitals_that_highdicom_refuses_have_one(orientation, positions):
    assert get_volume_positions(positions, orientation) == (None, None)
    affine = stack_affine(list(positions), orientation, (0.5, 0.8))
    last = (affine @ [5, 0, 0, 1])[:3]
    assert last == pytest.approx(positions[-1] * (-1, -1, 1))


def test_slices_that_are_not_evenly_stacked_have_none():
    gap = NUMBERS * [0, 0, 2.0]
    gap[3:, 2] += 2
    assert stack_affine(list(gap), AXIAL, (1, 1)) is None
    assert stack_affine([np.zeros(3)] * 3, AXIAL, (1, 1)) is None
    assert stack_affine([np.zeros(3), np.full(3, np.nan)], AXIAL, (1, 1)) is None


def test_a_volume_of_a_tilted_gantry_is_cut_along_any_axis(tmp_path):
    """Its slices lie at an angle to the direction in which they are stacked."""
    folder = write_series(tmp_path / "ct", count=5)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        left, back, up = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [left, back - 0.27 * (up - 30), up]
        dataset.save_as(path)
    acquired, cut = open_source(folder), open_source(folder, Axis.CORONAL)
    assert (len(acquired), len(cut)) == (5, 12)
    assert acquired.frame.affine[1, 0] == pytest.approx(0.27 * 2)
    assert np.array_equal(cut.values(3), np.stack([acquired.values(i)[3] for i in range(5)])[::-1])
