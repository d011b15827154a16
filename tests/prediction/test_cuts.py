"""Volumes cut across several axes: the same mask in Python, folders and commands, and what cannot be cut so."""

import cv2
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.reading import Reading
from promise_seg.images.tiles import Tiling
from promise_seg.prediction.cuts import check_axes, other_cuts, parse_axes
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import Axis, Variant
from promise_seg.workflows.predicting import predict_folder as predict_by_user
from tests.files import write_nifti, write_series
from tests.helpers import make_model, make_tiny_sam

AFFINE = np.diag([-0.8, -0.5, 3.0, 1.0])
AXES = (Axis.AXIAL, Axis.CORONAL)


@pytest.fixture(scope="module")
def predictor():
    model = make_model(make_tiny_sam(), Variant.APM_IPS)
    model.config = model.config.model_copy(update={"volumes": VolumeRule(slices="blend", least_mm3=4.0)})
    return Predictor(model)


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(5).integers(0, 200, (8, 10, 5)).astype(np.uint8)
    return write_nifti(tmp_path / "ct.nii", values, AFFINE)


def test_probabilities_are_the_mean_over_the_axes(predictor, path):
    several = predictor.predict_volume(path, slices="each", axes="axial,coronal")
    own = predictor.predict_volume(path, slices="each")
    (cut,) = other_cuts(own.source, predictor.model.config.reading, AXES)
    framed = [cut.framed(number, predictor.model) for number in range(len(cut))]
    assert {one.rgb.shape[:2] for one in framed} == {(19, 8)}  # 5 rows of 3 mm, and 8 columns of 0.8 mm
    seen = [predictor.predict(predictor.encode_framed(one)).mask_probs for one in framed]
    across = np.stack([cv2.resize(one, (8, 5), interpolation=cv2.INTER_AREA) for one in seen])
    stacks = [np.stack([one.mask_probs for one in volume.slices]) for volume in (own, several)]
    alone, mean = (own.source.frame.from_slices(stack) for stack in stacks)
    assert np.allclose(mean, (alone + cut.frame.from_slices(across)) / 2, atol=1e-5)
    assert not np.array_equal(several.mask, own.mask)


def test_folders_have_the_same_mask_and_know_how_it_was_made(predictor, path, tmp_path):
    expected = predictor.predict_volume(path, axes=["coronal", "axial"]).mask
    outcome = predict_folder(Labeller({1: predictor}, axes=AXES), find_inputs([path]), tmp_path / "out")
    assert outcome.problems == []
    assert np.array_equal(np.asarray(nib.load(tmp_path / "out/masks/ct.nii.gz").dataobj) > 0, expected)
    with pytest.raises(PromiseError, match="contains predictions with --axes axial,coronal"):
        predict_folder(Labeller({1: predictor}), find_inputs([path]), tmp_path / "out")
    with pytest.raises(SettingsError, match="the model was loaded with axes="):
        predict_by_user(Labeller({1: predictor}), path, tmp_path / "other", axes="axial,sagittal")


def test_several_classes_are_cut_across_the_same_axes(predictor, path, tmp_path):
    labeller = Labeller({1: predictor, 2: predictor}, axes=AXES)
    found = labeller.label(predictor.model.config.reading.open(path))
    stack = np.stack([one.labels for one in found.slices])
    expected = predictor.predict_volume(path, axes="axial,coronal")
    assert np.array_equal(expected.source.frame.from_slices(stack) > 0, expected.mask)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ("axial,transverse", "'transverse' is not an axis; expected axial, coronal or sagittal"),
        ("axial", "expected two or three different axes"),
        ("axial,axial", "expected two or three different axes"),
        ("auto,axial", "'auto' is not an axis"),
        ("", "'' is not an axis"),
    ],
)
def test_axes_that_cannot_be_meant_are_refused(axes, words):
    with pytest.raises(SettingsError, match=rf"^--axes .*{words}"):
        parse_axes(axes)


def test_axes_come_in_the_same_order(predictor):
    assert parse_axes(None) == ()
    assert parse_axes("sagittal, axial") == (Axis.AXIAL, Axis.SAGITTAL)
    with pytest.raises(SettingsError, match=r"^--axes axial,coronal: with --instances"):
        Labeller({1: predictor}, instances=True, axes=AXES)


def test_of_several_series_in_a_folder_each_is_cut_by_itself(predictor, tmp_path):
    rng = np.random.default_rng(2)
    for number in (1, 2):
        pixels = rng.integers(0, 200, (4, 10, 8)).astype(np.uint16)
        write_series(tmp_path / "export", pixels, prefix=f"series{number}-")
    inputs = find_inputs([tmp_path / "export"])
    assert len(inputs) == 2
    for one in inputs:
        source = one.open(Axis.AUTO)
        (cut,) = other_cuts(source, Reading(), AXES)
        assert cut.source.files == source.files
        assert cut.frame.counts == (10, 4, 8)
        volume = predictor.predict_volume(source, axes=AXES)
        assert volume.mask.shape == (4, 10, 8)


def _image(folder):
    Image.new("L", (20, 20)).save(folder / "frame.png")
    return folder / "frame.png"


def _stack(folder):
    np.save(folder / "stack.npy", np.zeros((4, 20, 20), np.uint8))
    return folder / "stack.npy"


def _one_slice(folder):
    return write_nifti(folder / "one.nii", np.zeros((8, 10, 1), np.uint8), AFFINE)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_image, "is not a volume, so it cannot be cut across several axes. Leave --axes axial,coronal out"),
        (_stack, "does not state the orientation of the patient"),
        (_one_slice, "has 1 x 10 x 8 voxels: cut across another axis, it has slices of a single line"),
    ],
)
def test_what_cannot_be_cut_so_is_named_and_others_are_predicted(predictor, path, tmp_path, make, words):
    odd = make(tmp_path)
    with pytest.raises(ImageError, match=words):
        check_axes(Reading().open(odd), Reading(), AXES)
    outcome = predict_folder(Labeller({1: predictor}, axes=AXES), find_inputs([odd, path]), tmp_path / "out")
    assert outcome.predicted == 1
    (problem,) = outcome.problems
    assert words in str(problem)


def test_the_axis_of_the_model_must_be_among_them(path):
    source = Reading().open(path)
    with pytest.raises(ImageError, match="the model sees its axial slices, which --axes coronal,sagittal leaves out"):
        check_axes(source, Reading(), (Axis.CORONAL, Axis.SAGITTAL))
    with pytest.raises(ImageError, match="larger than a tile across one of its axes"):
        check_axes(source, Reading(tiles=Tiling(side=16, overlap=4)), AXES)


def test_distances_must_be_known(predictor, path):
    with pytest.raises(SettingsError, match="with axes, distances are those of the file"):
        predictor.predict_volume(path, axes="axial,coronal", spacing=(3.0, 1.0, 1.0))
    with pytest.raises(ImageError, match="slices in memory do not say how the patient lies"):
        predictor.predict_volume(np.zeros((4, 20, 20), np.uint8), axes="axial,coronal")
