"""How far slices are apart, as their file says it; and when no single distance says it."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
import tifffile

from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.stacking import place_of, stacking_of
from promise_seg.vocabulary import Axis
from tests.files import write_metaimage, write_nifti, write_nrrd, write_series

STACK = np.random.default_rng(0).integers(0, 200, (5, 12, 10)).astype(np.int16)
AFFINE = np.diag([0.8, 0.5, 2.5, 1.0])


def sheared(angle):
    """An affine whose slices are each moved along the rows, as those of a tilted gantry."""
    affine = AFFINE.copy()
    affine[1, 2] = 2.5 * np.tan(np.radians(angle))
    return affine


def nifti(path, affine=AFFINE):
    return write_nifti(path / "a.nii", np.ascontiguousarray(STACK.T), affine)


def turned(path):
    """An oblique volume: nothing is tilted, only turned as a whole."""
    c, s = np.cos(0.4), np.sin(0.4)
    turn = np.array([[1, 0, 0, 5], [0, c, -s, 6], [0, s, c, 7], [0, 0, 0, 1]])
    return nifti(path, turn @ AFFINE)


def nrrd(path, **header):
    return write_nrrd(path / "a.nrrd", np.ascontiguousarray(STACK.T), header)


def metaimage(path):
    return write_metaimage(path / "a.mha", STACK, spacing=(0.8, 0.5, 2.5))


def without_place(path):
    return write_metaimage(path / "a.mha", STACK, spacing=(0.8, 0.5, 2.5), matrix=None)


def series(path):
    return write_series(path / "ct", STACK, step=2.5, spacing=(0.5, 0.8))


@pytest.mark.parametrize(
    "write",
    [nifti, turned, lambda p: nifti(p, sheared(0.3)), metaimage, without_place, series,
     lambda p: nrrd(p, spacings=[0.8, 0.5, 2.5]),
     lambda p: nrrd(p, space="scanner-xyz", **{"space directions": np.diag([0.8, 0.5, 2.5])}),
     lambda p: nrrd(p, space="left-posterior-superior", **{"space directions": np.diag([0.8, 0.5, 2.5]),
                                                           "space origin": [0, 0, 0]})],
)  # fmt: skip
def test_the_distance_of_slices_in_every_format(write, tmp_path):
    source = open_source(write(tmp_path))
    found = stacking_of(source)
    assert (found.slices, found.lacking) == (5, "")
    assert (found.spacing, *source.spacing) == pytest.approx((2.5, 0.5, 0.8), rel=1e-4)


def test_across_another_axis_it_is_that_of_the_rows(tmp_path):
    found = stacking_of(open_source(nifti(tmp_path), Axis.CORONAL))
    assert found.spacing == pytest.approx(0.5)
    assert found.slices == 12


@pytest.mark.parametrize("angle", [15.0, -4.0])
def test_tilted_volumes_have_none(angle, tmp_path):
    found = stacking_of(open_source(nifti(tmp_path, sheared(angle))))
    assert found.spacing is None
    assert found.lacking == f"its slices are tilted by {abs(angle):.1f} degrees"


def test_a_tilted_gantry_has_none(tmp_path):
    folder = series(tmp_path)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + (float(z) - 30) * 0.2, z]
        dataset.save_as(path)
    assert stacking_of(open_source(folder)).lacking == "its slices are tilted by 11.3 degrees"


def test_uneven_series_say_both_distances(tmp_path):
    folder = series(tmp_path)
    (folder / "slice003").unlink()
    found = stacking_of(open_source(folder))
    assert (found.slices, found.spacing) == (4, None)
    assert "2.50 mm from slice002 to slice001, but 5.00 mm from slice004 to slice002" in found.lacking


def test_voxels_without_a_size_have_no_place(tmp_path):
    folder = write_series(tmp_path / "ct", STACK, step=2.5, spacing=(0, 0))
    assert stacking_of(open_source(folder)).lacking == "it does not state the distance between its slices"
    assert place_of(open_source(folder / "slice001")) is None


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("micron", 1e-3), ("meter", 1e3)])
def test_units_of_a_nifti_file_hold_for_slices_as_for_pixels(tmp_path, unit, factor):
    image = nib.Nifti1Image(STACK.T.astype(np.int16), np.diag([0.5 / factor, 0.8 / factor, 2.5 / factor, 1]))
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    source = open_source(tmp_path / "a.nii")
    assert (*source.spacing, stacking_of(source).spacing) == pytest.approx((0.8, 0.5, 2.5))


def test_pages_of_a_tiff_say_nothing_and_an_image_is_no_stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK.astype(np.uint8), photometric="minisblack")
    assert stacking_of(open_source(tmp_path / "a.tif")).lacking == "it does not state the distance between its slices"
    tifffile.imwrite(tmp_path / "b.tif", STACK[0].astype(np.uint8), photometric="minisblack")
    assert stacking_of(open_source(tmp_path / "b.tif")) is None


@pytest.mark.parametrize("unknown", [{"spacings": [0.8, 0.5, np.nan]}, {}])
def test_a_header_without_that_distance(unknown, tmp_path):
    assert stacking_of(open_source(nrrd(tmp_path, **unknown))).spacing is None
