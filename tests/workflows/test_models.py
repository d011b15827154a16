import numpy as np
import pytest
from PIL import Image

import promise_seg
from promise_seg.compat.reference_writing import to_reference
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import Fit, MaskKind
from promise_seg.workflows.model_ref import ModelRef, PartKind
from promise_seg.workflows.models import ClassModels, Model, load, open_models
from tests.files import write_nifti
from tests.helpers import disc_image, make_model


def test_every_kind_of_name_means_its_parts(place):
    run = ModelRef.resolve(place / "apm")
    (part,) = run.parts
    assert (part.kind, part.checkpoint, part.run_folder) == (PartKind.CHECKPOINT, place / "apm/best", place / "apm")
    assert len(part.training_images().train) == 12  # the file and the pixels of each
    assert ModelRef.resolve(place / "apm/last").parts[0].run_folder == place / "apm"
    (bare,) = ModelRef.resolve("bare").parts
    assert (bare.is_bare, bare.run_folder, bare.note(), bare.training_images()) == (True, None, None, None)
    classes = ModelRef.resolve(str(place / "set"))
    assert (classes.is_class_set, classes.labels) == (True, (1, 3))
    assert [part.name for part in classes.parts] == [str(place / "set/class-1"), str(place / "set/class-3")]
    assert classes.part_for(3) is classes.parts[1]
    assert run.part_for(3) is part
    assert ModelRef.resolve(classes) is classes
    with pytest.raises(SettingsError, match="models of the classes 1, 3, but there is none of class 2"):
        classes.part_for(2)
    with pytest.raises(CheckpointError, match="contains no checkpoint"):
        ModelRef.resolve(place / "nothing")


def test_what_is_kept_beside_a_model_needs_a_folder_of_ours(place):
    assert len(ModelRef.resolve(place / "set").checkpoints("a calibration")) == 2
    for name, words in (("bare", "learns nothing"), ("x.pt", "promise convert it first")):
        with pytest.raises(SettingsError, match=words):
            ModelRef.resolve(name).checkpoints("a calibration")


def test_a_run_is_loaded_with_its_trust(place):
    model = load(place / "apm", device="cpu")
    assert isinstance(model, Model)
    assert model.trust_model is not None
    assert repr(model) == f"Model({str(place / 'apm')!r}: apm on {model.model.config.sam} at 32 px)"
    image = place / "data/images/9.png"
    assert model.predict(image).mask.shape == model.labeller().label_image(image).labels.shape


def test_a_set_is_loaded_around_one_sam_and_predicts_label_maps(place):
    models = load(place / "set", device="cpu")
    assert isinstance(models, ClassModels)
    assert list(models) == [1, 3]
    assert models[1].sam is models[3].sam
    assert (models.reading.masks, models.reading.label) == (MaskKind.CLASSES, None)
    image = np.asarray(Image.open(place / "classes/images/0.png"))
    found = models.predict(image)
    assert found.labels.shape == image.shape[:2]
    assert set(np.unique(found.labels)) <= {0, 1, 3}
    assert set(found.origins) == {1, 3}
    assert models.labeller(["3=liver"]).names == {1: "class 1", 3: "liver"}


def test_the_label_map_of_a_volume_is_in_the_order_of_its_file(place, tmp_path):
    models = load(place / "set", device="cpu")
    assert isinstance(models, ClassModels)
    values = np.random.default_rng(0).integers(0, 255, (24, 20, 3)).astype(np.int16)
    upside_down = np.diag([1.0, 1.0, -1.0, 1.0])
    for name, affine in (("a", np.eye(4)), ("b", upside_down)):
        write_nifti(tmp_path / f"{name}.nii", values if name == "a" else values[..., ::-1], affine)
    one, other = (models.predict_volume(tmp_path / f"{name}.nii") for name in "ab")
    assert one.labels.shape == (24, 20, 3)
    assert np.array_equal(one.labels, other.labels[..., ::-1])
    assert [np.array_equal(a.labels, b.labels) for a, b in zip(one.slices, other.slices, strict=True)] == [True] * 3
    for number, found in enumerate(one.slices):
        assert np.array_equal(found.labels, models.predict(tmp_path / "a.nii", number).labels)
    picture = place / "data/images/9.png"
    assert np.array_equal(models.predict_volume(picture).labels, models.predict(picture).labels)
    with pytest.raises(SettingsError, match="volume of type ndarray: expected the path of a file"):
        models.predict_volume(values)
    assert load(place / "apm", device="cpu").labeller("polyp").names == {1: "polyp"}


def test_a_class_that_there_is_not_is_named_with_those_that_there_are(place):
    models = load(place / "set", device="cpu")
    assert models.get(2) is None
    with pytest.raises(KeyError, match=r"2: .* has the classes 1, 3"):
        models[2]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda place, o: load(None), "model None: expected a path"),
        (lambda place, o: load(""), "model: the path is empty"),
        (lambda place, o: promise_seg.Dataset.from_csv(3), "manifest 3: expected a path"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", classes=1.5), "classes 1.5: expected a whole number"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", channels=1.5), "channels 1.5: expected a whole number"),
        (lambda place, o: promise_seg.evaluate(place / "apm", place / "data/manifest.csv", by=3), "by 3: expected"),
        (lambda place, o: promise_seg.train("a.csv", None), "output None: expected a path"),
        (lambda place, o: promise_seg.predict_folder(None, "a.png", o), "model None: expected a path"),
        (lambda place, o: promise_seg.predict_folder(place / "apm", None, o), "images None: expected a path"),
        (lambda place, o: promise_seg.predict_folder(place / "apm", [np.zeros(3)], o), "images .*: expected a path"),
        (lambda place, o: promise_seg.predict_folder(place / "apm", "a.png", o, every="2"), "--every '2': expected"),
        (lambda place, o: promise_seg.predict_folder(place / "apm", "a.png", o, instances="no"), "expected True or F"),
        (lambda place, o: promise_seg.evaluate(place / "apm", [1, 2]), r"data .*: expected Dataset or a path"),
        (lambda place, o: promise_seg.evaluate(place / "apm", "a", prompts="oracle", points="4"), "--points '4': expe"),
        (lambda place, o: promise_seg.train("a.csv", o, epochs="3"), "--epochs '3': expected a whole number"),
        (lambda place, o: promise_seg.train("a.csv", o, batch_size=True), "--batch-size True: expected a whole number"),
        (lambda place, o: promise_seg.train("a.csv", o, weight_decay="0"), "--weight-decay '0': expected a finite"),
        (lambda place, o: promise_seg.train("a.csv", o, init=5), "init 5: expected a path"),
        (lambda place, o: promise_seg.train(place / "data/manifest.csv", o, sam=5), "--sam 5: expected a path"),
        (lambda place, o: load(place / "apm", device=3), "--device 3: expected auto, cpu"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", split=5), "split 5: expected train, val, test, all"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", split=["tset"]), r"split \['tset'\]: expected train"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", val_share="a"), "val_share 'a': expected a share"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", seed="x"), "seed 'x': expected a whole number"),
        (lambda place, o: promise_seg.Dataset.from_csv("a.csv", like=5), "like 5: expected how a model reads files"),
    ],
)  # fmt: skip
def test_arguments_of_other_types_are_refused_by_name(place, tmp_path, call, says):
    with pytest.raises(SettingsError, match=says):
        call(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bare_sam_is_loaded_by_either_protocol(place):
    bare = load("bare", sam=str(place / "sam"), image_size=48, device="cpu")
    assert (bare.model.sam.image_size, bare.reading.crop_border, bare.note) == (48, False, "")
    mask = bare.predict(place / "data/images/0.png", points_xy=[[20, 15]], point_labels=[1]).mask
    assert mask.shape == (30, 40)
    opened = open_models("bare", sam=str(place / "sam"), device="cpu", protocol="reference")
    assert (opened.models[0].config.fit, opened.reading.crop_border) == (Fit.SQUARE, True)
    with pytest.raises(SettingsError, match="for bare only"):
        load(place / "apm", image_size=48)


def test_a_file_of_the_published_code_says_how_it_gets_trust(place):
    to_reference(load(place / "ips", device="cpu").model, place / "model.pt")
    model = load(place / "model.pt", device="cpu")
    assert model.part.kind == PartKind.REFERENCE
    assert "promise convert it first" in model.note


def test_models_in_memory_are_taken_as_they_are(place):
    model = load(place / "apm", device="cpu")
    assert open_models(model).models == (model.model,)
    models = load(place / "set", device="cpu")
    assert [part.label for part, _ in open_models(models)] == [1, 3]
    ((part, _),) = open_models(models[3])
    assert part.name == str(place / "set/class-3")


def test_the_model_of_one_class_of_a_set_is_scored_like_its_folder(place, few):
    """It once failed after all images were scored."""
    manifest, options = place / "classes/manifest.csv", {"store": few["store"]}
    one = load(place / "set", device="cpu")[3]
    named = promise_seg.evaluate(place / "set/class-3", manifest, device="cpu", **options)
    assert promise_seg.evaluate(one, manifest, **options).mean == named.mean
    assert promise_seg.budget(one, manifest, **options).name == named.name


def test_a_bare_sam_in_memory_is_not_scored_by_the_reference_protocol_with_our_images(place, few):
    """Its scores once were other ones than those of the same SAM by its name."""
    model = load("bare", sam=few["sam"], device="cpu")
    with pytest.raises(SettingsError, match="protocol=reference: the bare SAM that is loaded already"):
        promise_seg.evaluate(model, place / "data/manifest.csv", prompts="box", protocol="reference")


@pytest.mark.parametrize("options", [{"always_segment": True}, {"image_size": 64}, {"sam": "nano"}], ids=str)
def test_options_of_loading_are_refused_for_models_in_memory(place, options):
    """They were once ignored, so that scores were of other masks than asked for."""
    model = load(place / "apm", device="cpu")
    (name,) = options
    with pytest.raises(SettingsError, match=f"{name}=.*: the model is loaded already. Give {name} to promise_seg.load"):
        open_models(model, **options)


def test_a_loaded_labeller_finds_what_it_was_loaded_for(tiny_sam, tmp_path):
    labeller = Labeller({1: Predictor(make_model(tiny_sam))})
    Image.fromarray(disc_image(0)[0]).save(tmp_path / "a.png")
    with pytest.raises(SettingsError, match="instances=True: the model was loaded with instances=False"):
        promise_seg.predict_folder(labeller, tmp_path / "a.png", tmp_path / "out", instances=True)
    with pytest.raises(SettingsError, match="names=polyp: the model was loaded with the names 1=segmentation"):
        promise_seg.predict_folder(labeller, tmp_path / "a.png", tmp_path / "out", names="polyp")
    assert promise_seg.predict_folder(labeller, tmp_path / "a.png", tmp_path / "out", names="segmentation").predicted
