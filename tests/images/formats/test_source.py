"""Images without any finite value are refused, and percentiles are those of all colours."""

import hashlib
import json

import numpy as np
import pytest
import tifffile

from promise_seg.errors import ImageError
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.images.formats.tiff_slide import TiffSlide
from promise_seg.images.readers import content_sha256
from promise_seg.images.reading import Reading, make_reading
from promise_seg.storage.hashing import file_sha256
from tests.files import write_nifti


@pytest.mark.parametrize("window", ["own", "percentile", "brain"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_volume_without_finite_values_is_refused(value, window, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", np.full((12, 14, 3), value, np.float32))
    reading = make_reading(window=window)
    with pytest.raises(ImageError, match=r"ct\.nii: has no finite value: all its voxels are NaN or infinite; expected"):
        reading.rgb(reading.open(path), 1)


def test_an_image_without_finite_values_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.full((12, 14), np.nan, np.float32))
    with pytest.raises(ImageError, match=r"a\.npy: has no finite value: all its pixels are NaN"):
        Reading().rgb(Reading().open(tmp_path / "a.npy"), 0)


def test_slices_without_finite_values_are_black(tmp_path):
    values = np.full((12, 14, 3), np.nan, np.float32)
    values[..., 2] = np.arange(14)
    source = Reading().open(write_nifti(tmp_path / "ct.nii", values))
    seen = [Reading().rgb(source, index) for index in range(3)]
    assert [bool(one.any()) for one in seen] == [False, False, True]


def test_a_channel_without_finite_values_is_black(tmp_path):
    channels = np.stack([np.full((20, 24), np.nan), np.tile(np.arange(24.0), (20, 1))]).astype(np.float32)
    tifffile.imwrite(tmp_path / "channels.tif", channels, imagej=True, metadata={"axes": "CYX"})
    reading = make_reading(channels="0,1,-")
    seen = reading.rgb(reading.open(tmp_path / "channels.tif"), 0)
    assert [bool(seen[..., number].any()) for number in range(3)] == [False, True, False]


@pytest.mark.parametrize("kind", [TiffStack, TiffSlide])
@pytest.mark.parametrize("height", [999, 1000, 2000])
def test_percentiles_are_those_of_all_colours(height, kind, tmp_path):
    """Every third value of an image of a million pixels is red."""
    image = np.empty((height, 1000, 3), np.uint16)
    image[:] = 1500, 40000, 10
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", compression="zlib", tile=(512, 512))
    assert kind(tmp_path / "a.tif").percentiles(0.5, 99.5) == (10, 40000)


@pytest.mark.parametrize("kind", [TiffStack, TiffSlide])
@pytest.mark.parametrize(("shape", "is_new"), [((999, 1000, 3), False), ((1000, 1000, 3), True), ((1800, 1800), False)])
def test_only_images_whose_percentiles_were_those_of_one_colour_have_new_hashes(shape, is_new, kind, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="rgb" if len(shape) == 3 else "minisblack")
    earlier = hashlib.sha256(json.dumps([file_sha256(path), {"window": "percentile"}]).encode()).hexdigest()
    assert (content_sha256(kind(path), 0, make_reading(window="percentile")) != earlier) == is_new
    assert content_sha256(kind(path), 0, Reading()) == file_sha256(path)
