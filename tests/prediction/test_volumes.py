"""Whole volumes: slices together, in Python, in folders and in evaluations."""

import nibabel as nib
import numpy as np
import pytest

from promise_seg.assessment.joined_rows import JoinedRows
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import Slices, Variant
from promise_seg.workflows.predicting import predict_folder as predict_by_user
from tests.files import write_nifti
from tests.helpers import make_model, make_tiny_sam

AFFINE = np.diag([-0.8, -0.5, 3.0, 1.0])
RULES = {
    "cleaned": VolumeRule(keep="largest", fill_holes=True),
    "blended": VolumeRule(slices="blend", blend_mm=3.0),
    "agreeing": VolumeRule(slices="agree", carried=0.6, least_mm3=4.0),
    "masks": VolumeRule(slices="agree", carry="mask", blend_mm=0.0),
}


def predictor_with(rule=None, sam=None, variant=Variant.APM_IPS) -> Predictor:
    model = make_model(sam or make_tiny_sam(), variant)
    model.config = model.config.model_copy(update={"volumes": rule})
    return Predictor(model)


@pytest.fixture(scope="module")
def sam():
    return make_tiny_sam()


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(5).integers(0, 200, (20, 24, 5)).astype(np.uint8)
    return write_nifti(tmp_path / "ct.nii", values, AFFINE)


def of_file(path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_without_a_rule_slices_are_as_they_were(sam, path):
    predictor = predictor_with(sam=sam)
    volume = predictor.predict_volume(path)
    alone = np.stack([predictor.predict(predictor.encode(path, index)).mask for index in range(5)])
    assert np.array_equal(volume.mask, volume.source.frame.from_slices(alone))
    assert 0 < volume.mask.sum() < volume.mask.size
    assert np.array_equal(volume.mask, predictor.predict_volume(path, slices="each").mask)
    assert not np.array_equal(volume.mask, predictor.predict_volume(path, slices="blend").mask)


@pytest.mark.parametrize(
    "name", [name if name == "agreeing" else pytest.param(name, marks=pytest.mark.slow) for name in RULES]
)
def test_python_folders_and_evaluations_have_the_same_mask(sam, path, tmp_path, name):
    predictor = predictor_with(RULES[name], sam)
    expected = predictor.predict_volume(path).mask
    outcome = predict_folder(Labeller({1: predictor}), find_inputs([path]), tmp_path / "out")
    assert outcome.problems == []
    assert np.array_equal(of_file(tmp_path / "out/masks/ct.nii.gz") > 0, expected)
    write_nifti(tmp_path / "mask.nii", (of_file(path) > 100).astype(np.uint8), AFFINE)
    (tmp_path / "m.csv").write_text("image_name,train_type,mask_name\nct.nii,test,mask.nii\n")
    rows = Dataset.from_csv(tmp_path / "m.csv").rows
    joined = JoinedRows(predictor.model, rows, RULES[name])
    found = np.stack([joined.of(row).mask for row in rows])
    assert np.array_equal(predictor.predict_volume(path).source.frame.from_slices(found), expected)
    assert not np.array_equal(expected, predictor_with(sam=sam).predict_volume(path).mask)


def test_the_largest_component_is_one_in_space(sam, path):
    from scipy import ndimage

    mask = predictor_with(RULES["cleaned"], sam).predict_volume(path).mask
    assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1


def test_slices_are_made_again_when_they_are_asked_for(sam, path):
    volume = predictor_with(RULES["blended"], sam).predict_volume(path)
    assert len(volume.slices) == len(volume) == 5
    last = volume.slices[-1]
    assert np.array_equal(volume.slices[4].mask, last.mask)
    assert np.array_equal(last.mask, last.mask_probs > 0.5)
    assert [one.mask.shape for one in volume.slices[1:3]] == [(24, 20)] * 2
    with pytest.raises(IndexError):
        volume.slices[5]


@pytest.mark.parametrize(
    "spacing", [("a", "b", "c"), (None, 1, 1), 3, (1.0, 2.0), [[1, 2, 3]], (0, 1, 1), (np.nan, 1, 1)], ids=str
)
def test_a_spacing_that_is_no_three_numbers_is_refused(sam, spacing):
    with pytest.raises(SettingsError, match="expected three numbers above 0, the distances between slices"):
        predictor_with(None, sam).predict_volume(np.zeros((2, 8, 8), np.uint8), spacing=spacing)


def test_axes_that_are_no_names_are_refused(sam, path):
    with pytest.raises(SettingsError, match="axes 3: expected a text such as 'axial,coronal'"):
        predictor_with(None, sam).predict_volume(path, axes=3)


def test_arrays_are_volumes_with_a_spacing(sam):
    predictor = predictor_with(VolumeRule(slices="blend", blend_mm=3.0, step_mm=1.5, least_mm3=1.0), sam)
    slices = np.random.default_rng(1).integers(0, 200, (4, 18, 22)).astype(np.uint8)
    far, near = (predictor.predict_volume(slices, spacing=(step, 1.0, 1.0)) for step in (100.0, 3.0))
    assert far.mask.shape == (4, 18, 22)
    assert far.spacing == (100.0, 1.0, 1.0)
    assert not np.array_equal(far.slices[1].mask_probs, near.slices[1].mask_probs)
    alone = predictor.predict(slices[1])
    assert np.allclose(far.slices[1].mask_probs, alone.mask_probs, atol=1e-6)
    unknown = predictor.predict_volume(slices)
    assert unknown.spacing is None
    assert len(unknown.notes) == 2
    assert all("does not state the distance" in note for note in unknown.notes)
    assert "a distance of 1.5 mm between its slices was assumed" in unknown.notes[1]
    assert near.notes == ()


def test_one_slice_is_a_volume(sam):
    for rule in (*RULES.values(), None):
        one = predictor_with(rule, sam).predict_volume(np.zeros((1, 16, 16), np.uint8), spacing=(2, 1, 1))
        assert one.mask.shape == (1, 16, 16)
        assert one.notes == ()


def test_what_is_no_volume_is_refused(sam):
    predictor = predictor_with(sam=sam)
    with pytest.raises(ImageError, match=r"must be uint8 of shape \(N, H, W\).* got float64 \(2, 3, 4\)"):
        predictor.predict_volume(np.zeros((2, 3, 4)))
    with pytest.raises(ImageError, match=r"got uint8 \(3, 4\)"):
        predictor.predict_volume(np.zeros((3, 4), np.uint8))
    with pytest.raises(ImageError, match=r"\(20, 30, 3\) is the shape of one picture .* Use predict for a picture"):
        predictor.predict_volume(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(SettingsError, match="expected three numbers above 0, the distances between slices"):
        predictor.predict_volume(np.zeros((2, 8, 8), np.uint8), spacing=(1.0, 2.0))
    with pytest.raises(SettingsError, match="slices 'all': expected auto, each, blend, agree"):
        predictor.predict_volume(np.zeros((2, 8, 8), np.uint8), slices="all")
    with pytest.raises(SettingsError, match="no auto-prompting module"):
        predictor_with(sam=sam, variant=Variant.IPS).predict_volume(np.zeros((2, 8, 8), np.uint8))


def test_each_class_has_its_own_rule_and_the_most_certain_is_right(sam, path):
    first = predictor_with(VolumeRule(slices="blend", blend_mm=3.0), sam)
    second = predictor_with(VolumeRule(least_mm3=1e9), sam)
    labelled = Labeller({2: first, 5: second}).label(open_source(path))
    assert set(np.unique(labelled.stack)) == {0, 2}
    assert np.array_equal(labelled.stack == 2, _slices(first.predict_volume(path)))
    assert not np.array_equal(labelled.stack == 2, _slices(first.predict_volume(path, slices="each")))
    assert set(labelled.slices[0].origins) == {2, 5}


def _slices(volume) -> np.ndarray:
    return np.stack([one.mask for one in volume.slices])


def test_origins_are_those_of_slices_by_themselves(sam, path):
    alone = Labeller({1: predictor_with(sam=sam)}).label(open_source(path))
    joined = Labeller({1: predictor_with(RULES["agreeing"], sam)}).label(open_source(path))
    for one, other in zip(alone.slices, joined.slices, strict=True):
        assert np.array_equal(one.origins[1].points_xy_image, other.origins[1].points_xy_image)
        assert one.origins[1].predicted_iou == other.origins[1].predicted_iou


def test_another_way_needs_another_folder_and_objects_are_told_apart_by_slices(sam, path, tmp_path):
    predictor = predictor_with(sam=sam)
    for slices in (Slices.AUTO, Slices.BLEND):
        labeller = Labeller({1: predictor}, slices=slices)
        predict_folder(labeller, find_inputs([path]), tmp_path / slices)
        predict_folder(labeller, find_inputs([path]), tmp_path / slices)
    with pytest.raises(PromiseError, match=r"contains predictions with --slices blend\. Choose another"):
        predict_folder(Labeller({1: predictor}), find_inputs([path]), tmp_path / "blend")
    with pytest.raises(PromiseError, match=r"contains predictions with --slices auto\. Choose another"):
        predict_folder(Labeller({1: predictor}, slices=Slices.EACH), find_inputs([path]), tmp_path / "auto")
    with pytest.raises(SettingsError, match=r"objects are separated slice by slice\. Leave one of them out"):
        Labeller({1: predictor}, instances=True, slices=Slices.AGREE)


def test_a_volume_without_distances_is_noted_in_a_folder(sam, tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).integers(0, 200, (6, 20, 24)).astype(np.uint8))
    predictor = predictor_with(VolumeRule(slices="blend", blend_mm=3.0, least_mm3=2.0), sam)
    outcome = predict_folder(Labeller({1: predictor}), find_inputs([tmp_path / "v.npy"]), tmp_path / "out")
    assert outcome.problems == []
    words = "does not state the distance between its slices"
    lacking = [note for note in outcome.notes if "v.npy: " in note and words in note]
    assert len(lacking) == 2


def test_rows_of_images_and_of_instance_maps_are_left_as_they_are(sam, path, tmp_path):
    write_nifti(tmp_path / "mask.nii", (of_file(path) > 100).astype(np.uint8), AFFINE)
    (tmp_path / "m.csv").write_text("image_name,train_type,mask_name\nct.nii,test,mask.nii\n")
    instances = Dataset.from_csv(tmp_path / "m.csv", instances=True).rows
    joined = JoinedRows(predictor_with(sam=sam).model, instances, RULES["agreeing"])
    assert joined.of(instances[0]) is None
    assert joined.notes() == (
        "the rule for volumes is not used: objects of instance maps are separated slice by slice",
    )
    single = Dataset.from_csv(tmp_path / "m.csv").rows[:1]
    assert JoinedRows(predictor_with(sam=sam).model, single, RULES["agreeing"]).of(single[0]) is None


def test_a_model_that_is_loaded_keeps_its_way(sam, path, tmp_path):
    labeller = Labeller({1: predictor_with(sam=sam)}, slices=Slices.BLEND)
    with pytest.raises(SettingsError, match=r"slices=auto: the model was loaded with slices=blend\. Load it"):
        predict_by_user(labeller, path, tmp_path / "out")
    with pytest.raises(SettingsError, match="--slices all: expected auto, each, blend, agree"):
        predict_by_user(labeller, path, tmp_path / "out", slices="all")
    assert predict_by_user(labeller, path, tmp_path / "out", slices="blend").predicted == 1
