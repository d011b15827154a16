from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.checkpoint import save_checkpoint
from promise_seg.class_sets import class_folder, write_class_set
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.reading import Reading
from promise_seg.model import PromiseModel
from promise_seg.prediction.labelling import Labeller, parse_names
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import ApmKind, TrainAlso, Variant
from promise_seg.workflows.predicting import load_labeller
from tests.files import write_nifti
from tests.helpers import disc_image, make_model, make_tiny_sam


def predictor(sam, variant=Variant.APM_IPS, **reading):
    model = make_model(sam, variant)
    model.config = model.config.model_copy(update={"reading": Reading(**reading)})
    return Predictor(model)


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "a.png")
    return open_source(tmp_path / "a.png")


def test_one_model_gives_its_own_mask(tiny_sam, picture):
    one = predictor(tiny_sam)
    labelled = Labeller({1: one}).label(picture)
    assert np.array_equal(labelled.stack[0] > 0, one.predict(picture).mask)
    assert labelled.names == {1: "segmentation"}


def test_of_several_the_most_certain_is_right(tiny_sam, picture, monkeypatch):
    labeller = Labeller({3: predictor(tiny_sam, label=3), 7: predictor(tiny_sam, label=7)})
    probs = {3: [0.9, 0.6, 0.1], 7: [0.8, 0.7, 0.2]}

    def predict(label):
        row = np.array([probs[label]], np.float32)
        empty = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
        from promise_seg.prediction.prediction import Prediction

        return Prediction(row > 0.5, row, *empty, 0.5)

    for label, one in labeller.predictors.items():
        monkeypatch.setattr(one, "predict", lambda *_, label=label: predict(label))
    assert labeller.label(picture).stack.tolist() == [[[3, 7, 0]]]


def test_an_image_is_encoded_once_for_all_classes(tiny_sam, picture, monkeypatch):
    labeller = Labeller({n: predictor(tiny_sam, label=n) for n in (1, 2, 3)})
    calls = []
    encode = tiny_sam.encode
    monkeypatch.setattr(tiny_sam, "encode", lambda images: calls.append(1) or encode(images))
    labeller.label(picture)
    assert len(calls) == 1


@pytest.mark.parametrize("kinds", [(ApmKind.PRETRAINED, ApmKind.PRETRAINED), (ApmKind.PRETRAINED, ApmKind.RESNET)])
def test_each_class_has_its_own_prompts_also_where_apms_see_the_image(tiny_sam, picture, kinds):
    models = {}
    for label, kind in enumerate(kinds, 1):
        model = make_model(tiny_sam, apm=kind)
        model.config = model.config.model_copy(update={"reading": Reading(label=label)})
        torch.manual_seed(label)
        with torch.no_grad():
            for parameter in model.apm.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        models[label] = Predictor(model)
    alone = {label: one.predict(picture) for label, one in models.items()}
    assert not np.array_equal(alone[1].points_xy, alone[2].points_xy)
    origins = Labeller(models).label(picture).slices[0].origins
    for label, one in alone.items():
        np.testing.assert_array_equal(origins[label].points_xy_image, one.points_xy)


def test_a_class_whose_encoder_was_trained_encodes_for_itself(tiny_sam, picture):
    trained = make_model(tiny_sam)
    trained.config = trained.config.model_copy(update={"reading": Reading(label=2), "train_also": TrainAlso.EVERYTHING})
    trained = Predictor(PromiseModel(trained.config, tiny_sam))
    with torch.no_grad():
        for parameter in trained.model.trainable_parameters().values():
            parameter.add_(0.02)
    shared = predictor(tiny_sam, label=1)
    alone = {1: shared.predict(picture), 2: trained.predict(picture)}
    assert not np.array_equal(alone[1].points_xy, alone[2].points_xy)
    for order in ((1, 2), (2, 1)):
        labeller = Labeller({label: {1: shared, 2: trained}[label] for label in order})
        origins = labeller.label(picture).slices[0].origins
        for label in order:
            np.testing.assert_array_equal(origins[label].points_xy_image, alone[label].points_xy)
            assert origins[label].predicted_iou == alone[label].predicted_iou


def test_a_volume_is_cut_as_in_training(tiny_sam, tmp_path):
    write_nifti(tmp_path / "v.nii", np.random.default_rng(0).integers(0, 99, (12, 14, 5)).astype(np.int16))
    labeller = Labeller({1: predictor(tiny_sam, axis="coronal")})
    source = open_source(tmp_path / "v.nii", labeller.reading.axis)
    assert labeller.label(source).stack.shape == (14, 5, 12)
    assert predictor(tiny_sam, axis="coronal").predict_volume(tmp_path / "v.nii").mask.shape == (12, 14, 5)


def test_models_that_cannot_predict_or_do_not_fit_are_refused(tiny_sam):
    with pytest.raises(SettingsError, match="variant ips has no auto-prompting"):
        Labeller({1: predictor(tiny_sam, Variant.IPS)})
    with pytest.raises(CheckpointError, match="class 2 reads images differently"):
        Labeller({1: predictor(tiny_sam), 2: predictor(tiny_sam, window="lung")})


def test_a_name_belongs_to_its_label_or_to_the_only_one():
    assert parse_names(["liver"], [1]) == {1: "liver"}
    assert parse_names(["2=liver", "1=spleen"], [1, 2]) == {1: "spleen", 2: "liver"}
    for text, labels in (("liver", [1, 2]), ("x=liver", [1]), ("1=", [1])):
        with pytest.raises(SettingsError, match=f"--name {text}"):
            parse_names([text], labels)


def test_names_of_labels_that_there_are_not(tiny_sam):
    with pytest.raises(SettingsError, match="--name 5=liver: the model has no label 5; expected one of 1"):
        Labeller({1: predictor(tiny_sam)}, {5: "liver"})


def test_a_folder_of_classes_is_loaded_as_one(tmp_path, picture):
    sam = make_tiny_sam()
    sam.model.save_pretrained(tmp_path / "sam")
    for label in (2, 4):
        model = make_model(sam)
        config = model.config.model_copy(update={"reading": Reading().of_class(label), "sam": str(tmp_path / "sam")})
        save_checkpoint(PromiseModel(config, sam), class_folder(tmp_path / "run", label) / "best")
    write_class_set(tmp_path / "run", [2, 4])
    labeller = load_labeller(tmp_path / "run", names=["4=liver"])
    assert labeller.names == {2: "class 2", 4: "liver"}
    assert set(np.unique(labeller.label(picture).stack)) <= {0, 2, 4}
    assert len(labeller.identity()["model_sha256"]) == 2


@pytest.mark.parametrize(
    ("always", "threshold", "is_noted"), [(True, 0.5, True), (False, 0.5, False), (True, None, False)]
)
def test_trust_of_masks_without_the_judgement_is_noted_and_changes_no_identity(tiny_sam, always, threshold, is_noted):
    model = make_model(tiny_sam)
    model.config = model.config.model_copy(update={"presence_threshold": threshold})
    model.always_segments = always
    labeller = Labeller({1: Predictor(model, SimpleNamespace(sha256=lambda: "trust"))})
    assert any("With --always-segment such images" in note for note in labeller.notes) == is_noted
    assert labeller.identity()["trust_sha256"] == ["trust"]
    assert "With --always-segment such images" not in str(Labeller({1: Predictor(model)}).notes)
