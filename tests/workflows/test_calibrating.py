"""Calibration and tuning: what is refused at once, and what is chosen anew after the post-processing was tuned."""

import dataclasses
import errno
import re

import pytest

import promise_seg
from promise_seg.cli.main import main
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.images.reading import ReadingOptions
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.workflows import calibrating


def test_the_rule_for_separate_objects_is_chosen_at_the_tuned_threshold(place, few, monkeypatch):
    objects = promise_seg.Dataset.from_csv(place / "data/manifest.csv", instances=True)
    model = promise_seg.train(objects, place / "objects", variant="apm", **few)
    real, seen, chosen = calibrating.search, [], InstanceRule(prominence=0.3)

    def chooses_another_threshold(*args):
        return dataclasses.replace(real(*args), chosen=PostProcessing(threshold=0.35))

    def notes_the_thresholds(model, *_args):
        seen.append((model.config.postprocessing.threshold, model.config.presence_threshold))
        return chosen

    monkeypatch.setattr(calibrating, "search", chooses_another_threshold)
    monkeypatch.setattr(calibrating, "choose_instance_rule", notes_the_thresholds)
    data, options = place / "data/manifest.csv", {"store": few["store"], "device": "cpu"}
    (tuning,) = promise_seg.tune_postprocess(model, data, **options)
    assert seen == [(0.35, None)]
    assert tuning.instances == promise_seg.load(place / "objects", device="cpu").model.config.instances == chosen
    (reset,) = promise_seg.tune_postprocess(model, data, reset=True, **options)
    assert seen == [(0.35, None), (0.5, None)]
    assert reset.instances == chosen


def test_models_that_do_not_separate_objects_get_no_rule_for_them(place, few):
    (tuning,) = promise_seg.tune_postprocess(
        place / "apm", place / "data/manifest.csv", store=few["store"], device="cpu"
    )
    assert tuning.instances is None


@pytest.mark.parametrize("command", ["calibrate", "tune-postprocess"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": "nothere.csv"}, "nothere.csv: no such file"),
        ({"data": "test.csv"}, "test.csv: no train rows"),
        ({"store": "test.csv"}, "test.csv: cannot hold features: "),
        ({"device": "gpu"}, "--device gpu: not available here"),
        ({"sealed": True}, "best: cannot write: "),
    ],
)
def test_what_is_cheap_to_check_is_refused_before_a_model_is_loaded(
    place, monkeypatch, capsys, command, options, words
):
    def load(*_args, **_values):
        raise AssertionError("a model was loaded before the options were checked")

    def sealed(*_args, **_values):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("promise_seg.workflows.model_ref.load_checkpoint", load)
    if options.get("sealed"):
        monkeypatch.setattr("promise_seg.storage.files.tempfile.TemporaryFile", sealed)
    monkeypatch.chdir(place)
    (place / "test.csv").write_text("image_name,train_type,mask_name\na.png,test,b.png\n")
    options = {"data": "data/manifest.csv", "device": "cpu", "store": "store"} | options
    before = sorted(place.rglob("*"))
    assert main([command, "apm", options["data"], "--device", options["device"], "--store", options["store"]]) == 2
    assert sorted(place.rglob("*")) == before
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line
    call = promise_seg.calibrate if command == "calibrate" else promise_seg.tune_postprocess
    with pytest.raises(PromiseError, match=re.escape(words)):
        call("apm", options["data"], device=options["device"], store=options["store"])


@pytest.mark.parametrize("work", [promise_seg.calibrate, promise_seg.tune_postprocess])
def test_nothing_is_stored_for_a_model_that_was_loaded_with_other_options(place, few, work):
    """Tuning once wrote the tiles of such a model into its checkpoint, and a calibration was of other masks."""
    before = {path: path.read_bytes() for path in (place / "apm/best").iterdir()}
    tiled = promise_seg.load(place / "apm", device="cpu").reading_as(ReadingOptions(tile=32))
    always = promise_seg.load(place / "set", device="cpu", always_segment=True)
    for model, words in (
        (tiled, r"apm: reads images with --tile 32 --overlap 8, but .* is stored for images"),
        (always, r"class-1: was loaded with always_segment=True, but .* is stored for masks"),
    ):
        with pytest.raises(SettingsError, match=words):
            work(model, place / "data/manifest.csv", store=few["store"])
    assert {path: path.read_bytes() for path in (place / "apm/best").iterdir()} == before


def test_a_reset_needs_no_manifest(place, few):
    (tuning,) = promise_seg.tune_postprocess(
        place / "ips", place / "nothere.csv", reset=True, store=few["store"], device="cpu"
    )
    assert tuning.tuned is None
