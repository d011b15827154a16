import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import SettingsError
from promise_seg.images.formats.opening import open_source
from promise_seg.prediction.outputs.formats import WRITERS, formats_for
from promise_seg.vocabulary import Axis, OutputFormat
from promise_seg.workflows.choices import chosen
from tests.files import write_dicom, write_nifti, write_series


def test_a_prediction_is_of_its_input_s_kind(tmp_path):
    pixels = np.zeros((5, 6), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "one.tif", pixels)
    tifffile.imwrite(tmp_path / "many.tif", np.stack([pixels] * 3), photometric="minisblack")
    write_nifti(tmp_path / "v.nii", np.zeros((4, 5, 6), np.int16))
    write_dicom(tmp_path / "a.dcm", pixels)
    write_series(tmp_path / "ct")
    for name, axis, expected in (
        ("a.png", Axis.AUTO, "png"), ("one.tif", Axis.AUTO, "png"), ("many.tif", Axis.AUTO, "tiff"),
        ("v.nii", Axis.SAGITTAL, "nifti"), ("a.dcm", Axis.AUTO, "dicom-seg"), ("ct", Axis.AUTO, "dicom-seg"),
        ("ct", Axis.CORONAL, "nifti"),
    ):  # fmt: skip
        source = open_source(tmp_path / name, axis)
        assert formats_for(source, OutputFormat.AUTO)[0] == expected
        assert formats_for(source, OutputFormat.RLE) == ["rle"]


def test_dicom_falls_back_on_what_keeps_its_place(tmp_path):
    pixels = np.zeros((5, 6), np.uint8)
    write_series(tmp_path / "ct")
    write_dicom(tmp_path / "placed.dcm", pixels)
    write_dicom(tmp_path / "picture.dcm", pixels, placed=False)
    write_dicom(tmp_path / "clip.dcm", np.stack([pixels] * 3), placed=False, NumberOfFrames=3)
    for name, expected in (("ct", "nifti"), ("placed.dcm", "nifti"), ("picture.dcm", "png"), ("clip.dcm", "tiff")):
        assert formats_for(open_source(tmp_path / name), OutputFormat.AUTO) == ["dicom-seg", expected]
    assert formats_for(open_source(tmp_path / "ct", Axis.CORONAL), OutputFormat.AUTO) == ["nifti", "tiff"]


def test_every_format_has_a_writer():
    assert set(WRITERS) == set(OutputFormat) - {OutputFormat.AUTO}
    words = "auto, png, tiff, nifti, nrrd, metaimage, dicom-seg, rle, coco"
    with pytest.raises(SettingsError, match=f"--format bmp: expected {words}"):
        chosen(OutputFormat, "bmp", "--format")
