"""Labels of images with blemished headers are written so that independent readers open them."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from promise_seg.errors import ImageError
from promise_seg.prediction.outputs.formats import WRITERS, formats_for
from promise_seg.vocabulary import OutputFormat
from tests.files import write_metaimage, write_nrrd
from tests.images.formats import blemishes, nifti_blemishes

GREY = blemishes.blemishes()[::9]
HEADERS = nifti_blemishes.header_blemishes()


def written(labelled, folder):
    """Write labels in the first format that holds them, as a run over a folder does; return format and path."""
    formats = formats_for(labelled.source, OutputFormat.AUTO)
    for number, output in enumerate(formats):
        path = folder / f"out{WRITERS[output].suffix}"
        try:
            WRITERS[output].write(labelled, path)
        except ImageError:
            if number == len(formats) - 1:
                raise
        else:
            return output, path
    raise AssertionError("no format")


@pytest.mark.slow
def test_those_of_dicom(label, tmp_path):
    counts = dict.fromkeys(OutputFormat, 0)
    for number, blemish in enumerate(GREY):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = blemishes.write(folder / "a.dcm", blemish.apply(blemishes.sound()))
        try:
            labelled = label(path)
        except ImageError:
            continue
        output, out = written(labelled, folder)
        counts[output] += 1
        if output == OutputFormat.DICOM_SEG:
            segmentation = pydicom.dcmread(out)
            assert segmentation.Rows == 6, blemish
            assert np.array_equal(segmentation.pixel_array.squeeze() > 0, labelled.stack[0] > 0), blemish
    assert counts[OutputFormat.DICOM_SEG] > 0.8 * sum(counts.values())
    assert sum(counts.values()) > 40


@pytest.mark.slow
@pytest.mark.parametrize("place", [(), ("sform_code",), ("qform_code",), ("sform_code", "qform_code")])
def test_those_of_nifti(label, tmp_path, place):
    """Every header that is read gives labels with finite geometry that ITK opens, where its image was taken to lie."""
    opened = 0
    for number, blemish in enumerate(HEADERS[::4]):
        path = tmp_path / f"{number}.nii"
        fields = nifti_blemishes.sound_fields() | dict.fromkeys(place, (0,)) | {blemish.field: blemish.value}
        path.write_bytes(nifti_blemishes.file_of(fields))
        try:
            labelled = label(path)
        except ImageError:
            continue
        WRITERS[OutputFormat.NIFTI].write(labelled, tmp_path / "out.nii.gz")
        image = sitk.ReadImage(tmp_path / "out.nii.gz")
        assert np.isfinite([*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]).all(), blemish
        again = nib.load(tmp_path / "out.nii.gz")
        assert np.allclose(again.affine, labelled.source.frame.affine, atol=1e-4), blemish
        frame = labelled.source.frame
        assert np.array_equal(again.get_fdata().reshape(frame.shape), frame.from_slices(labelled.stack)), blemish
        opened += 1
    assert opened > 30


@pytest.mark.parametrize(
    "fields", [{"ElementSpacing": "nan 1 2"}, {"Offset": "1 inf 2"}, {"TransformMatrix": "1 0 0 1 0 0 0 0 1"}]
)
def test_those_of_metaimage(label, tmp_path, fields):
    labelled = label(write_metaimage(tmp_path / "a.mha", np.zeros((4, 5, 6), np.int16), **fields))
    output, path = written(labelled, tmp_path)
    assert output == OutputFormat.METAIMAGE
    image = sitk.ReadImage(path)
    assert np.isfinite([*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]).all()
    assert np.array_equal(sitk.GetArrayFromImage(image) > 0, labelled.stack > 0)


@pytest.mark.parametrize("direction", [[0, 0, np.inf], [0, 0, 0], [0, 1, 0]])
def test_those_of_nrrd(label, tmp_path, direction):
    header = {"space": "LPS", "space directions": np.array([[1, 0, 0], [0, 1, 0], direction], float)}
    labelled = label(write_nrrd(tmp_path / "a.nrrd", np.zeros((6, 5, 4), np.int16), header))
    output, path = written(labelled, tmp_path)
    assert output == OutputFormat.NRRD
    image = sitk.ReadImage(path)
    assert np.isfinite([*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()]).all()
    assert np.array_equal(sitk.GetArrayFromImage(image) > 0, labelled.stack > 0)
