import numpy as np
import pytest
import torch

import promise_seg
from promise_seg.checkpoint import save_checkpoint
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.geometry import Box
from promise_seg.images.readers import read_image
from promise_seg.images.reading import make_reading
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import Axis, Variant
from tests.files import write_nifti
from tests.helpers import disc_image, make_model


@pytest.fixture
def predictor(tiny_sam):
    return Predictor(make_model(tiny_sam))


def test_the_short_way(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam), tmp_path / "run/best")
    model = promise_seg.load(tmp_path / "run", sam=tiny_sam)
    mask = model.predict(disc_image(0)[0]).mask
    assert mask.shape == (30, 40)
    assert mask.dtype == bool


def test_a_path_an_array_and_a_grey_array(predictor, checked):
    row = checked[0]
    from_path = predictor.predict(row.row.image)
    from_array = predictor.predict(row.image())
    assert np.array_equal(from_path.mask_probs, from_array.mask_probs)
    grey = row.image()[..., 0]
    assert np.array_equal(
        predictor.predict(grey).mask_probs, predictor.predict(np.repeat(grey[..., None], 3, 2)).mask_probs
    )


def test_own_points_given_back_give_the_same_mask(predictor):
    image = disc_image(0)[0]
    own = predictor.predict(image)
    again = predictor.predict(image, points_xy=own.points_xy, point_labels=own.point_labels)
    np.testing.assert_allclose(again.mask_probs, own.mask_probs, atol=1e-3)


def test_points_and_boxes_of_a_user_change_the_mask(predictor):
    encoded = predictor.encode(disc_image(0)[0])
    own = predictor.predict(encoded).mask_probs
    pointed = predictor.predict(encoded, points_xy=[[5, 5]], point_labels=[1])
    boxed = predictor.predict(encoded, box_xyxy=[5, 5, 20, 20])
    assert not np.allclose(own, pointed.mask_probs)
    assert not np.allclose(own, boxed.mask_probs)
    np.testing.assert_allclose(pointed.points_xy, [[5, 5]], atol=0.5)


def test_one_encoding_serves_many_predictions(predictor, monkeypatch):
    encoded = predictor.encode(disc_image(0)[0])
    monkeypatch.setattr(predictor.model.sam, "encode", lambda *_: pytest.fail("encoded again"))
    predictor.predict(encoded)
    predictor.predict(encoded, points_xy=[[5, 5]], point_labels=[0])


def test_predictions_leave_the_model_as_it_was(predictor):
    before = {k: v.clone() for k, v in predictor.model.state_dict().items()}
    predictor.predict(disc_image(0)[0])
    assert all(torch.equal(v, before[k]) for k, v in predictor.model.state_dict().items())
    assert not predictor.model.training


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)])
def test_arrays_that_are_no_images(predictor, array):
    with pytest.raises(ImageError, match="must be uint8 of shape"):
        predictor.predict(array)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"points_xy": [[1, 2]]}, "points need labels"),
        ({"points_xy": [1, 2], "point_labels": [1]}, r"points_xy must be \(N, 2\)"),
        ({"points_xy": [[1, 2]], "point_labels": [1, 0]}, "one for each point"),
        ({"box_xyxy": [1, 2, 3]}, r"box_xyxy must be \(4,\)"),
    ],
)
def test_prompts_that_do_not_fit(predictor, prompts, message):
    with pytest.raises(SettingsError, match=message):
        predictor.predict(disc_image(0)[0], **prompts)


def test_without_apm_prompts_are_needed(tiny_sam):
    predictor = Predictor(make_model(tiny_sam, Variant.IPS))
    with pytest.raises(SettingsError, match="give points or a box"):
        predictor.predict(disc_image(0)[0])
    assert predictor.predict(disc_image(0)[0], box_xyxy=[2, 2, 20, 20]).mask.shape == (30, 40)


def test_files_are_read_as_in_training(tiny_sam, tmp_path):
    """The window, the axis and the crop stand in the model's config, and nobody has to say them again."""
    model = make_model(tiny_sam)
    model.config = model.config.model_copy(update={"window": "40,80", "axis": Axis.CORONAL, "crop_border": True})
    predictor = Predictor(model)
    volume = np.full((20, 24, 6), -1000, np.int16)
    volume[4:16, 2:22] = np.random.default_rng(0).integers(20, 90, (12, 20, 6))
    path = write_nifti(tmp_path / "v.nii", volume)
    seen = read_image(path, make_reading(window="40,80", axis="coronal"), 10)
    encoded = predictor.encode(path, 10)
    assert encoded.geometry.crop == Box(4, 0, 16, 6)
    assert torch.equal(encoded.features.embedding, predictor.encode(seen).features.embedding)
    assert not predictor.predict(encoded).mask[:, :4].any()


def test_a_volume_needs_the_index_of_a_slice(predictor, tmp_path):
    path = write_nifti(tmp_path / "v.nii", np.zeros((20, 24, 6), np.int16))
    with pytest.raises(ImageError, match="has 6 slices; give the index of one, or use predict_volume"):
        predictor.predict(path)
    with pytest.raises(ImageError, match="has no slice 6"):
        predictor.encode(path, 6)
    done = []
    volume = predictor.predict_volume(path, lambda: done.append(1))
    assert len(done) == len(volume.slices) == 6
    assert volume.mask.shape == (20, 24, 6)
    assert np.array_equal(volume.slices[2].mask, predictor.predict(predictor.encode(path, 2)).mask)
