"""Labels as MetaImages lie where ITK finds the image, voxel for voxel."""

import numpy as np
import pytest

from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.metaimage import write_metaimage as write_labels
from promise_seg.vocabulary import Axis
from tests.files import write_metaimage, write_nifti, write_series

TURNED = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
PLACE = {"matrix": TURNED, "spacing": (0.7, 1.3, 3.1), "origin": (-12.5, 40.25, -7.75)}
STACK = np.zeros((4, 5, 6), np.int16)


@pytest.fixture
def sitk():
    return pytest.importorskip("SimpleITK", reason="SimpleITK, the independent reader, is not installed")


@pytest.mark.parametrize("axis", list(Axis))
def test_itk_finds_labels_where_the_image_lies(sitk, label, tmp_path, axis):
    path = write_metaimage(tmp_path / "v.mha", STACK, **PLACE)
    labelled = label(path, {1: "a", 300: "b"}, axis)
    write_labels(labelled, tmp_path / "m.mha")
    image, written = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "m.mha"))
    assert (written.GetSize(), written.GetPixelIDTypeAsString()) == (image.GetSize(), "16-bit unsigned integer")
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(written, get)() == pytest.approx(getattr(image, get)())
    source = open_source(path, axis)
    assert np.array_equal(sitk.GetArrayFromImage(written).T, source.frame.from_slices(labelled.stack))


def test_labels_of_other_volumes_lie_where_these_do(sitk, label, tmp_path):
    affine = np.array([[0, -0.9, 0, 5], [2, 0, 0, -7], [0, 0, 3, 2], [0, 0, 0, 1]], float)
    for path in (write_nifti(tmp_path / "v.nii", STACK.T, affine), write_series(tmp_path / "ct")):
        labelled = label(path)
        write_labels(labelled, tmp_path / "m.mha")
        source, image = open_source(path), sitk.ReadImage(str(tmp_path / "m.mha"))
        where = np.argwhere(source.frame.from_slices(labelled.stack))
        for index in where[[0, -1]]:
            left, back, up = (source.frame.affine @ [*index, 1])[:3] * (-1, -1, 1)
            found = image.TransformPhysicalPointToIndex((left, back, up))
            assert image.GetPixel(*found) == 1


def test_images_of_two_dimensions_stay_such(sitk, label, tmp_path):
    path = write_metaimage(
        tmp_path / "a.mha", np.arange(30, dtype=np.uint8).reshape(6, 5), matrix=None, spacing=(0.5, 0.8)
    )
    labelled = label(path)
    write_labels(labelled, tmp_path / "m.mha")
    written = sitk.ReadImage(str(tmp_path / "m.mha"))
    assert (written.GetSize(), written.GetSpacing()) == ((5, 6), (0.5, 0.8))
    assert np.array_equal(sitk.GetArrayFromImage(written), labelled.stack[0])
    assert np.array_equal(read_labels(tmp_path / "m.mha", open_source(path), 0), labelled.stack[0])


@pytest.mark.parametrize("fields", [{}, {"ElementSpacing": "0.5 0.8"}])
def test_images_of_two_dimensions_keep_their_origin_and_directions(sitk, label, tmp_path, fields):
    pixels = np.arange(30, dtype=np.uint8).reshape(6, 5)
    place = {"matrix": ((0.0, 1.0), (1.0, 0.0)), "origin": (30.0, -7.25)}
    path = write_metaimage(tmp_path / "a.mha", pixels, **place, spacing=(1, 1), **fields)
    write_labels(label(path), tmp_path / "m.mha")
    image, written = sitk.ReadImage(str(path)), sitk.ReadImage(str(tmp_path / "m.mha"))
    assert written.GetOrigin() == (30.0, -7.25)
    assert written.GetDirection() == (0.0, 1.0, 1.0, 0.0)
    assert written.GetSpacing() == image.GetSpacing()


@pytest.mark.parametrize("origin", [("nan", 0), (0, "inf")])
def test_an_invalid_origin_of_two_dimensions_is_not_copied(label, tmp_path, origin):
    pixels = np.arange(30, dtype=np.uint8).reshape(6, 5)
    path = write_metaimage(tmp_path / "a.mha", pixels, matrix=((1, 0), (0, 1)), origin=origin, spacing=(1, 1))
    write_labels(label(path), tmp_path / "m.mha")
    assert b"Offset" not in (tmp_path / "m.mha").read_bytes()
