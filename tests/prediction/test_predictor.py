from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import promise_seg
from promise_seg.checkpoint import save_checkpoint
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.geometry import Box
from promise_seg.images.readers import read_image
from promise_seg.images.reading import make_reading
from promise_seg.prediction.predictor import Predictor
from promise_seg.prediction.reading import Slice
from promise_seg.prediction.user_prompts import UserPrompts
from promise_seg.vocabulary import ApmKind, Variant
from tests.files import write_nifti
from tests.helpers import disc_image, make_model
from tests.instances.drawn import discs, drawn_model


@pytest.fixture
def predictor(tiny_sam):
    return Predictor(make_model(tiny_sam))


def test_a_run_is_loaded_and_predicts_at_the_size_of_the_image(tiny_sam, tmp_path):
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
    ("array", "way_out"),
    [
        (
            np.zeros((4, 5, 3), np.float32),
            r"multiply values in \[0, 1\] by 255\) and convert it with .astype\('uint8'\)",
        ),
        (np.zeros((4, 5), np.uint16), r"Scale its values to 0-255 .*divide 16-bit values by 257"),
        (np.zeros((4, 5), bool), r"Convert it with array.astype\('uint8'\) \* 255$"),
        (np.zeros((3, 4, 5), np.float32), r"give array.transpose\(1, 2, 0\), as uint8$"),
        (np.zeros((1, 4, 5), np.uint8), r"Its first axis seems to be channels: give array\[0\]$"),
        (np.zeros((7, 5, 2), np.uint8), r"got uint8 \(7, 5, 2\)$"),
    ],
)
def test_an_array_that_is_no_image_is_refused_with_its_conversion(predictor, array, way_out):
    with pytest.raises(ImageError, match=way_out):
        predictor.predict(array)


def test_a_folder_of_images_is_not_one_image(predictor, tmp_path):
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "a.jpg")
    with pytest.raises(
        ImageError, match=r"no DICOM images there; .*To predict all images of a folder, use predict_folder"
    ):
        predictor.predict(tmp_path)


def test_a_prediction_is_shown_as_a_summary(predictor):
    image = disc_image(0)[0]
    prediction = predictor.predict(image, box_xyxy=[2, 2, 20, 20])
    area = int(prediction.mask.sum())
    assert repr(prediction) == (
        f"Prediction(mask of {area} pixels ({area / 1200:.1%}) in an image of 30 x 40, predicted IoU "
        f"{prediction.predicted_iou:.2f}, 0 points, 1 box)"
    )
    assert "1 point, 0 boxes" in repr(predictor.predict(image, points_xy=[[5, 5]], point_labels=[1]))
    assert repr(replace(prediction, note="no objects")).endswith(", 1 box, 'no objects')")


def test_prompts_that_do_not_fit(predictor):
    with pytest.raises(SettingsError, match="points need labels"):
        predictor.predict(disc_image(0)[0], points_xy=[[1, 2]])


def test_without_apm_prompts_are_needed(tiny_sam):
    predictor = Predictor(make_model(tiny_sam, Variant.IPS))
    with pytest.raises(SettingsError, match="give points or a box"):
        predictor.predict(disc_image(0)[0])
    assert predictor.predict(disc_image(0)[0], box_xyxy=[2, 2, 20, 20]).mask.shape == (30, 40)


def test_files_are_read_as_in_training(tiny_sam, tmp_path):
    """The window, the axis and the crop stand in the model's config, and nobody has to say them again."""
    model = make_model(tiny_sam)
    reading = make_reading(window="40,80", axis="coronal", crop_border=True)
    model.config = model.config.model_copy(update={"reading": reading})
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
    volume = predictor.predict_volume(path, lambda *facts: done.append(facts))
    assert len(done) == len(volume.slices) == 6
    assert volume.mask.shape == (20, 24, 6)
    assert np.array_equal(volume.slices[2].mask, predictor.predict(predictor.encode(path, 2)).mask)


def test_many_images_at_once_give_what_each_gives_alone(predictor, tmp_path):
    image = disc_image(0)[0]
    path = write_nifti(tmp_path / "v.nii", np.random.default_rng(0).integers(0, 200, (20, 24, 6)).astype(np.int16))
    given = [image, Image.fromarray(disc_image(1)[0]), Slice(path, 3), predictor.encode(image)]
    many = predictor.predict(given)
    assert [one.mask.shape for one in many][:2] == [(30, 40), (30, 40)]
    for one, prediction in zip(given, many, strict=True):
        assert np.array_equal(predictor.predict(one).mask_probs, prediction.mask_probs)
    assert predictor.predict([]) == []
    with pytest.raises(SettingsError, match="give images with prompts one by one"):
        predictor.predict(given, points_xy=[[1, 2]], point_labels=[1])


def test_paths_arrays_and_images_of_pil_are_read_in_the_model_s_channel(tiny_sam, tmp_path):
    model = make_model(tiny_sam)
    model.config = model.config.model_copy(update={"reading": make_reading(channel="green")})
    predictor, pixels = Predictor(model), disc_image(0)[0]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    green = predictor.encode(np.repeat(pixels[..., 1:2], 3, 2)).features
    for image in (tmp_path / "a.png", pixels, Image.fromarray(pixels)):
        assert torch.equal(predictor.encode(image).features.embedding, green.embedding)
    assert not torch.equal(Predictor(make_model(tiny_sam)).encode(pixels).features.embedding, green.embedding)


def test_images_of_pil_are_read_as_their_files_are(predictor, tmp_path):
    image = Image.fromarray(disc_image(0)[0])
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        assert np.array_equal(predictor.predict(opened).mask, predictor.predict(tmp_path / "a.png").mask)
        assert predictor.predict(opened).mask.shape == (40, 30)
    for mode in ("L", "P", "RGBA", "1"):
        assert predictor.predict(image.convert(mode)).mask.shape == (30, 40)
    with pytest.raises(ImageError, match="must have 8 bits a channel, got mode F"):
        predictor.predict(image.convert("F"))


def test_all_candidates_come_with_their_scores(predictor):
    image = disc_image(0)[0]
    prediction = predictor.predict(image)
    candidates = prediction.candidates
    assert candidates.masks.shape == (3, 30, 40)
    assert len(candidates) == 3
    assert candidates.predicted_iou[candidates.chosen] == pytest.approx(prediction.predicted_iou)
    assert np.array_equal(candidates.masks[candidates.chosen], prediction.mask)
    for number in range(3):
        one = predictor.predict(image, mask_choice=str(number))
        np.testing.assert_allclose(one.mask_probs, candidates.mask_probs[number], atol=1e-6)
    with pytest.raises(SettingsError, match="mask_choice '3': expected 0, 1, 2, score"):
        predictor.predict(image, mask_choice="3")


def test_low_resolution_logits_can_be_fed_back(predictor):
    encoded = predictor.encode(disc_image(0)[0])
    first = predictor.predict(encoded)
    assert first.mask_logits.shape == (32, 32)
    fed = predictor.predict(encoded, points_xy=[[5, 5]], point_labels=[1], mask_input=first.mask_logits)
    plain = predictor.predict(encoded, points_xy=[[5, 5]], point_labels=[1])
    assert not np.allclose(fed.mask_probs, plain.mask_probs)


def test_several_sets_of_prompts_give_what_each_gives_alone(predictor):
    """Whatever their form: nothing is padded, so that a set's mask does not depend on its neighbours."""
    encoded = predictor.encode(disc_image(0)[0])
    logits = predictor.predict(encoded).mask_logits
    sets = [
        UserPrompts([[5, 5]], [1]),
        UserPrompts(box_xyxy=[2, 2, 20, 20]),
        UserPrompts([[25, 20], [3, 3]], [1, 0]),
        UserPrompts([[9, 9]], [0]),
        UserPrompts([[5, 5]], [1], [2, 2, 20, 20]),
        UserPrompts(mask_input=logits),
        UserPrompts(),
    ]
    together = predictor.predict_sets(encoded, sets)
    assert len(together) == len(sets)
    for one, prediction in zip(sets, together, strict=True):
        alone = predictor.predict(encoded, **vars(one))
        np.testing.assert_allclose(prediction.mask_probs, alone.mask_probs, atol=1e-4)
        np.testing.assert_allclose(prediction.points_xy, alone.points_xy, atol=1e-3)
        assert (prediction.box_xyxy is None) == (one.box_xyxy is None)
    np.testing.assert_allclose(together[1].box_xyxy, [2, 2, 20, 20], atol=1e-3)
    assert predictor.predict_sets(encoded, []) == []


def test_an_empty_array_is_no_image(predictor):
    with pytest.raises(ImageError, match="with at least one pixel"):
        predictor.predict(np.zeros((0, 0, 3), np.uint8))


def test_a_prediction_shows_itself(predictor):
    image = disc_image(0)[0]
    prediction = predictor.predict(image)
    assert prediction.overlay(image).shape == image.shape
    assert "data:image/png;base64," in prediction._repr_html_()


@pytest.mark.parametrize(("kind", "most"), [(ApmKind.HEATMAP, 1), (ApmKind.PRETRAINED, 4)])
def test_objects_are_predicted_apart_as_they_are_asked_for(tiny_sam, kind, most):
    model = make_model(tiny_sam, apm=kind)
    if kind == ApmKind.PRETRAINED:
        model.apm.max_objects = most
    predictor = Predictor(model)
    encoded = predictor.encode(disc_image(0)[0])
    together, apart = predictor.predict(encoded), predictor.predict_objects(encoded)
    assert 1 <= len(apart) <= most
    assert np.array_equal(np.any([one.mask for one in apart], 0), together.mask)
    np.testing.assert_allclose(np.concatenate([one.points_xy for one in apart]), together.points_xy)
    assert sum(len(one.boxes_xyxy) for one in apart) == len(together.boxes_xyxy)


@pytest.mark.parametrize("share", [0.8, 1.0])
def test_each_object_has_its_own_mask_where_the_map_makes_the_masks(tiny_sam, share):
    labels = discs((7, 8, 4), (24, 8, 5), (15, 24, 6))
    model = drawn_model(tiny_sam, labels)
    model.config = model.config.model_copy(update={"map_share": share})
    drawn = model.apm.forward

    def propose(features):
        found = drawn(features)
        return replace(
            found,
            points_xy_model=torch.tensor([[[[7.0, 8.0]], [[24.0, 8.0]], [[15.0, 24.0]]]]),
            point_labels=torch.ones(1, 3, 1, dtype=torch.long),
            regions=torch.from_numpy(labels)[None],
            numbers=torch.arange(1, 4)[None],
        )

    model.apm.forward = propose
    predictor = Predictor(model)
    encoded = predictor.encode(np.zeros((32, 32, 3), np.uint8))
    apart = predictor.predict_objects(encoded)
    for number, one in enumerate(apart, 1):
        assert np.array_equal(one.mask, labels == number)
    assert np.array_equal(predictor.predict(encoded).mask, labels > 0)


def test_objects_need_an_auto_prompter(tiny_sam):
    with pytest.raises(SettingsError, match="has no auto-prompting module"):
        Predictor(make_model(tiny_sam, Variant.IPS)).predict_objects(disc_image(0)[0])


def test_an_image_that_another_size_was_encoded_at_is_refused(predictor):
    encoded = predictor.encode(disc_image(0)[0])
    smaller = replace(encoded, geometry=replace(encoded.geometry, side=encoded.geometry.side // 2))
    for work in (predictor.predict, predictor.session, predictor.predict_objects):
        with pytest.raises(SettingsError, match=r"encoded at 16 px by another model; expected 32 px"):
            work(smaller)


@pytest.mark.parametrize("sets", [UserPrompts(), [{"box_xyxy": [1, 2, 3, 4]}], None, 3])
def test_sets_of_prompts_are_a_list_of_them(predictor, sets):
    with pytest.raises(SettingsError, match="prompts: expected a list of UserPrompts"):
        predictor.predict_sets(disc_image(0)[0], sets)


def test_sets_of_prompts_may_come_one_by_one(predictor):
    image, sets = disc_image(0)[0], [UserPrompts([[5, 5]], [1]), UserPrompts([[9, 9]], [1])]
    found, again = predictor.predict_sets(image, sets), predictor.predict_sets(image, (one for one in sets))
    assert [one.mask.sum() for one in found] == [one.mask.sum() for one in again]


@pytest.mark.parametrize("index", [1.5, "1", True])
def test_an_index_of_a_slice_that_is_none_is_refused(predictor, tmp_path, index):
    write_nifti(tmp_path / "a.nii", np.zeros((8, 8, 3), np.int16))
    with pytest.raises(SettingsError, match=r"index of the slice .*: expected a whole number"):
        predictor.predict(Slice(tmp_path / "a.nii", index))


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (np.eye(256, dtype=bool), "nothing but values from 0 to 1"),
        (np.eye(256, dtype=np.uint8) * 255, "uint8 values"),
        (np.eye(256, dtype=np.float32), "nothing but values from 0 to 1, as of a mask or of probabilities"),
    ],
)
def test_a_mask_is_no_logits(predictor, mask, found):
    with pytest.raises(SettingsError, match=f"mask_input must be logits, .* got {found}"):
        predictor.predict(disc_image(0)[0], mask_input=mask)
