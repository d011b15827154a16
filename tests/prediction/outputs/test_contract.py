"""Every writer keeps what all of them promise, and every source has a format that its predictions are written in."""

import json

import nibabel as nib
import numpy as np
import pytest
import tifffile
from matplotlib.path import Path
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.formats import WRITERS, formats_for
from promise_seg.vocabulary import Axis, OutputFormat
from tests.files import decode_rle, write_dicom, write_metaimage, write_nifti, write_nrrd, write_series
from tests.images.formats import test_contract as sources
from tests.images.formats.contract import SourceContract, voxels
from tests.prediction.outputs.contract import WriterContract

TURNED = ((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0), (0.0, 0.0, 1.0))
"""Directions of the axes of a MetaImage, a row for each."""
OBLIQUE = np.array([[0, -0.9, 0.1, 5], [2, 0, 0, -7], [0, 0.1, 3, 2], [0, 0, 0, 1]], float)


def write_picture(folder):
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(folder / "a.png")
    return folder / "a.png"


def write_oblique_nrrd(folder):
    header = {"space": "RAS", "space directions": OBLIQUE[:3, :3].T, "space origin": OBLIQUE[:3, 3]}
    return write_nrrd(folder / "v.nrrd", np.zeros((4, 5, 6), np.int16), header)


class TestPng(WriterContract):
    output = OutputFormat.PNG

    def write_input(self, folder):
        return write_picture(folder)


class TestPngOfVolumes(WriterContract):
    output = OutputFormat.PNG

    def write_input(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 3), np.int16))

    def read(self, path, labelled):
        return np.stack([np.asarray(Image.open(file)) for file in sorted(path.iterdir())])


class TestTiff(WriterContract):
    output = OutputFormat.TIFF

    def write_input(self, folder):
        tifffile.imwrite(folder / "a.tif", voxels(3), photometric="minisblack")
        return folder / "a.tif"


class TestNifti(WriterContract):
    output, refused = OutputFormat.NIFTI, "does not state the position of its pixels, which a NIfTI file needs"

    def write_input(self, folder):
        return write_nifti(folder / "v.nii.gz", np.zeros((4, 5, 6), np.int16), OBLIQUE)

    def write_unsuitable(self, folder):
        return write_picture(folder)

    def test_voxels_keep_their_place(self, label, image, path):
        written = nib.load(self.write(label(image), path))
        np.testing.assert_allclose(written.affine, OBLIQUE, atol=1e-5)
        assert written.shape == (4, 5, 6)


class TestNiftiOfDicom(TestNifti):
    def write_input(self, folder):
        return write_series(folder / "ct")

    def test_voxels_keep_their_place(self, label, image, path):
        written = nib.load(self.write(label(image), path))
        np.testing.assert_allclose(nib.affines.voxel_sizes(written.affine), (0.8, 0.5, 2.0), atol=1e-5)
        assert written.affine[:3, 3] == pytest.approx((10, 20, 30))


class TestNrrd(WriterContract):
    output = OutputFormat.NRRD

    def write_input(self, folder):
        return write_oblique_nrrd(folder)

    def test_voxels_keep_their_place(self, label, image, path):
        written = open_source(self.write(label(image), path))
        np.testing.assert_allclose(written.frame.affine, open_source(image).frame.affine, atol=1e-5)
        assert written.frame.shape == open_source(image).frame.shape


class TestMetaImage(TestNrrd):
    output = OutputFormat.METAIMAGE

    def write_input(self, folder):
        stack = np.zeros((6, 5, 4), np.int16)
        return write_metaimage(folder / "v.mha", stack, matrix=TURNED, spacing=(0.9, 2.0, 3.0), origin=(5, -7, 2))


class TestMetaImageOfNifti(TestMetaImage):
    def write_input(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 6), np.int16), OBLIQUE)


class TestMetaImageOfPictures(TestMetaImage):
    def write_input(self, folder):
        return write_picture(folder)

    def test_voxels_keep_their_place(self, label, image, path):
        written = open_source(self.write(label(image), path))
        assert (written.frame, written.is_volume, len(written)) == (None, False, 1)


class TestNpy(WriterContract):
    output = OutputFormat.NPY

    def write_input(self, folder):
        np.save(folder / "a.npy", voxels(5))
        return folder / "a.npy"


class TestNpyOfThreePages(TestNpy):
    """Which an image could not be: three channels first."""

    def write_input(self, folder):
        tifffile.imwrite(folder / "a.tif", voxels(3), photometric="minisblack")
        return folder / "a.tif"


class TestNpyOfNifti(TestNpy):
    def write_input(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 6), np.int16), OBLIQUE)

    def read(self, path, labelled):
        array = np.load(path)
        assert array.shape == (4, 5, 6)
        return labelled.source.frame.to_slices(array)


class TestNpyOfPictures(TestNpy):
    def write_input(self, folder):
        return write_picture(folder)


class TestNrrdOfNifti(TestNrrd):
    def write_input(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 6), np.int16), OBLIQUE)


class TestNrrdOfDicom(TestNrrd):
    def write_input(self, folder):
        return write_series(folder / "ct")

    def test_voxels_keep_their_place(self, label, image, path):
        """As columns, rows and slices: the other way round than the image."""
        written, frame = open_source(self.write(label(image), path)).frame, open_source(image).frame
        assert written.shape == frame.shape[::-1]
        np.testing.assert_allclose(written.affine, frame.affine[:, [2, 1, 0, 3]], atol=1e-5)


class TestNrrdOfPictures(TestNrrd):
    def write_input(self, folder):
        return write_picture(folder)

    def test_voxels_keep_their_place(self, label, image, path):
        written = open_source(self.write(label(image), path))
        assert (written.frame, written.is_volume, len(written)) == (None, False, 1)


class TestNiftiOfNrrd(TestNifti):
    def write_input(self, folder):
        return write_oblique_nrrd(folder)


class TestDicomSegmentation(WriterContract):
    output, refused = OutputFormat.DICOM_SEG, "a DICOM segmentation needs DICOM images as they were acquired"

    def write_input(self, folder):
        return write_series(folder / "ct")

    def write_unsuitable(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 6), np.int16))

    def read(self, path, labelled):
        """By the numbers of segments, which follow one another."""
        return np.array([0, *labelled.names])[super().read(path, labelled)]


class TestDicomSegmentationOfOneImage(TestDicomSegmentation):
    def write_input(self, folder):
        return write_dicom(folder / "a.dcm", np.zeros((5, 6), np.int16))


class TestRle(WriterContract):
    output = OutputFormat.RLE

    def write_input(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 3), np.int16))

    def read(self, path, labelled):
        stack = np.zeros_like(labelled.stack)
        for labels, one in zip(stack, json.loads(path.read_text())["slices"], strict=True):
            for found in one["objects"]:
                labels[decode_rle(found["segmentation"])] = found["label"]
        return stack


class TestCoco(TestRle):
    output = OutputFormat.COCO


class TestGeoJson(WriterContract):
    output = OutputFormat.GEOJSON

    def write_input(self, folder):
        return write_nifti(folder / "v.nii", np.zeros((4, 5, 3), np.int16))

    def read(self, path, labelled):
        """By whether the centre of a pixel is inside of a polygon, by an independent program."""
        stack = np.zeros_like(labelled.stack)
        rows, columns = (axis.ravel() for axis in np.indices(stack.shape[1:]))
        for feature in json.loads(path.read_text())["features"]:
            geometry = feature["geometry"]
            inside = [
                Path(ring).contains_points(np.stack([columns + 0.5, rows + 0.5], 1)) for ring in geometry["coordinates"]
            ]
            whole = inside[0] & ~np.any([*inside[1:], np.zeros_like(inside[0])], axis=0)
            stack[geometry["plane"]["z"]][whole.reshape(stack.shape[1:])] = feature["properties"]["label"]
        return stack


def _below(kind):
    return {kind, *(inner for one in kind.__subclasses__() for inner in _below(one))}


def test_every_writer_is_held_by_the_contract():
    assert {kind.output for kind in _below(WriterContract) if hasattr(kind, "output")} == set(WRITERS)


SOURCES = [
    kind for kind in vars(sources).values()
    if isinstance(kind, type) and issubclass(kind, SourceContract) and hasattr(kind, "source")
]  # fmt: skip


@pytest.mark.parametrize("axis", list(Axis))
@pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.__name__)
def test_predictions_for_every_source_are_read_back_as_its_mask(label, tmp_path, kind, axis):
    """In the format that is its default, and in the one behind that, if it can be written in them."""
    (tmp_path / "in").mkdir()
    path = kind().write(tmp_path / "in", voxels(kind.count))
    if kind().opened(path, axis) is None:
        return
    labelled = label(path, {1: "a", 2: "b"}, axis)
    formats = formats_for(labelled.source, OutputFormat.AUTO)
    refused = 0
    for output in formats:
        if output != formats[0] and output in (OutputFormat.PNG, OutputFormat.TIFF) and labelled.source.is_cut:
            continue  # the last resort, without the place that a mask of it needs
        written = tmp_path / f"{output}{WRITERS[output].suffix}"
        try:
            WRITERS[output].write(labelled, written)
        except ImageError:
            refused += 1
            continue
        for index, labels in enumerate(labelled.stack):
            assert np.array_equal(read_labels(written, open_source(path, axis), index), labels)
    assert refused < len(formats)
