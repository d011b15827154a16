"""Predictions for images of several channels lie where the image does, and have the form of one channel."""

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.images.reading import make_reading
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from tests.files import write_metaimage, write_nifti, write_nrrd
from tests.helpers import make_model

VOLUMES = np.random.default_rng(0).integers(0, 999, (4, 3, 18, 16)).astype(np.int16)
"""Four channels of three slices of 18 x 16 pixels."""
AFFINE = np.array([[-2.0, 0, 0, 7], [0, -1, 0, 5], [0, 0, 3, -4], [0, 0, 0, 1]])


def reader(tiny_sam, channels):
    model = make_model(tiny_sam)
    model.config = model.config.model_copy(update={"reading": make_reading(channels=channels)})
    return Predictor(model)


def nrrd(path):
    kinds = ["vector", *["domain"] * 3]
    directions = np.array([[np.nan] * 3, [2, 0, 0], [0, 1, 0], [0, 0, 3]])
    return write_nrrd(
        path, VOLUMES.transpose(0, 3, 2, 1), {"kinds": kinds, "space": "LPS", "space directions": directions}
    )


def mha(path):
    write_metaimage(path, np.moveaxis(VOLUMES, 0, -1), ElementNumberOfChannels=4, NDims=3, DimSize="16 18 3")
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing = 1 1 1\n", b"ElementSpacing = 2 1 3\n", 1))
    return path


FILES = {
    "nifti": lambda folder: write_nifti(folder / "a.nii.gz", VOLUMES.transpose(3, 2, 1, 0), AFFINE),
    "nrrd": lambda folder: nrrd(folder / "a.nrrd"),
    "metaimage": lambda folder: mha(folder / "a.mha"),
    "tiff": lambda folder: tifffile.imwrite(
        folder / "a.tif", VOLUMES.swapaxes(0, 1).astype(np.uint16), imagej=True, metadata={"axes": "ZCYX"}
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_masks_of_volumes_with_channels(tmp_path, tiny_sam, kind):
    (tmp_path / "in").mkdir()
    FILES[kind](tmp_path / "in")
    predictor = reader(tiny_sam, "2,0,1")
    inputs = find_inputs([tmp_path / "in"])
    outcome = predict_folder(Labeller({1: predictor}), inputs, tmp_path / "out")
    assert (outcome.predicted, outcome.problems, outcome.notes) == (1, [], [])
    (mask,) = (tmp_path / "out/masks").iterdir()
    image = open_source(inputs[0].path)
    expected = predictor.predict_volume(inputs[0].path)
    found = np.stack([read_labels(mask, image, index) > 0 for index in range(3)])
    assert np.array_equal(found, np.stack([one.mask for one in expected.slices]))
    assert found.any()
    planes = np.clip(np.round((VOLUMES[:, 1] - VOLUMES.min((1, 2, 3))[:, None, None]) * (
        255 / np.ptp(VOLUMES, (1, 2, 3)))[:, None, None]), 0, 255).astype(np.uint8)  # fmt: skip
    by_hand = reader(tiny_sam, "all").predict(np.ascontiguousarray(np.moveaxis(planes[[2, 0, 1]], 0, -1)))
    assert np.array_equal(by_hand.mask_probs, expected.slices[1].mask_probs)
    if kind == "nifti":
        written = nib.load(mask)
        assert written.shape == (16, 18, 3)
        assert np.allclose(written.affine, AFFINE)


def test_pages_that_are_channels_give_a_picture(tmp_path, tiny_sam):
    stack = np.random.default_rng(1).integers(0, 256, (5, 30, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    predictor = reader(tiny_sam, "4,1")
    predict_folder(Labeller({1: predictor}), find_inputs([tmp_path / "a.tif"]), tmp_path / "out")
    found = np.asarray(Image.open(tmp_path / "out/masks/a.png")) > 0
    for image in (tmp_path / "a.tif", open_source(tmp_path / "a.tif"), np.moveaxis(stack, 0, -1)):
        assert np.array_equal(predictor.predict(image).mask, found)
    assert np.array_equal(predictor.session(tmp_path / "a.tif").prediction.mask, found)


def test_an_image_that_lacks_a_channel_is_refused_by_name(tmp_path, tiny_sam):
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / "a.png")
    for channels, words in (("0,1", "has one channel .0., and so no channel 1"), ("0,t2", "no file t2.png beside it")):
        predictor = reader(tiny_sam, channels)
        with pytest.raises(ImageError, match=words):
            predictor.predict(tmp_path / "a.png")
    with pytest.raises(ImageError, match="has no channel t2, which the choice of channels 0,t2 needs"):
        predictor.predict(np.zeros((30, 40), np.uint8))
