"""What depends on the post-processing is chosen anew after it was tuned."""

import dataclasses

import promise_seg
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
