import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from promise_seg.augmentation import View, view_of
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import Box, Geometry
from promise_seg.inference import encoding
from promise_seg.inference.encoding import Sample, encode_missing, encode_one, sam_features
from promise_seg.monitoring import hooks
from promise_seg.monitoring.monitored import monitored
from promise_seg.vocabulary import Fit, Recipe, StorePrecision


@pytest.fixture
def samples(checked, tiny_sam):
    return [Sample.of(row, tiny_sam, Fit.STRETCH, view) for row in checked[:5] for view in (0, 1)]


def test_each_view_is_encoded_once(samples, tiny_sam, store):
    done = []
    assert encode_missing(samples, tiny_sam, store, lambda *facts: done.append(1)) == 10
    assert len(done) == 10
    assert encode_missing(samples, tiny_sam, store, lambda *facts: done.append(1)) == 0
    assert len(done) == 20


def test_each_view_and_its_reading_and_writing_have_their_name_for_those_who_watch(
    samples, tiny_sam, store, tmp_path, monkeypatch
):
    spans, log = [], tmp_path / "log.jsonl"
    monkeypatch.setattr(hooks, "start_span", lambda name, item: spans.append((str(name), item)))
    names = [sample.key(tiny_sam).digest() for sample in samples]
    with monitored(log_file=log):
        encode_missing(samples[:3], tiny_sam, store)
        encode_missing(samples[:4], tiny_sam, store)
        encode_one(samples[4], tiny_sam)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = Counter((line["item"], line["event"]) for line in lines if line.get("work") == "encode" and "item" in line)
    assert events == Counter([(name, "done") for name in names[:4]] + [(name, "already-there") for name in names[:3]])
    assert all(line["seconds"] > 0 for line in lines if line["event"] == "done")
    assert sorted(item for step, item in spans if step == "read") == sorted(names[:5])
    assert sorted(item for step, item in spans if step == "write") == sorted(names[:4])


def test_a_stopped_run_keeps_what_it_encoded(samples, tiny_sam, store, monkeypatch):
    real, calls = encoding.encode_images, []

    def stop_at_the_third(sam, images, stages):
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(sam, images, stages)

    monkeypatch.setattr(encoding, "encode_images", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        encode_missing(samples, tiny_sam, store)
    monkeypatch.setattr(encoding, "encode_images", real)
    assert encode_missing(samples, tiny_sam, store) == 10 - 2


@pytest.mark.parametrize("precision", list(StorePrecision))
def test_stored_features_equal_fresh_ones(samples, tiny_sam, tmp_path, precision):
    store = FeatureStore(tmp_path / "features", precision)
    bare, fresh, stored = (sam_features(samples[:1], tiny_sam, one) for one in (None, store, store))
    for one in [fresh, bare] if precision == StorePrecision.FP16 else [fresh]:
        assert one.tensors.keys() == stored.tensors.keys()
        for name, tensor in one.tensors.items():
            assert torch.equal(tensor, stored.tensors[name])
            assert tensor.stride() == stored.tensors[name].stride()
    assert torch.equal(bare.embedding, stored.embedding) == (precision == StorePrecision.FP16)


@pytest.mark.parametrize("stages", [(), (1, 3)])
def test_stored_features_equal_fresh_ones_where_not_all_stages_are_read(samples, tiny_sam, store, stages):
    fresh = sam_features(samples[:1], tiny_sam, None, stages)
    first, stored = (sam_features(samples[:1], tiny_sam, store, stages) for _ in range(2))
    assert set(fresh.tensors) == {"embedding", *(f"stage_{number}" for number in stages)}
    for name, tensor in fresh.tensors.items():
        assert torch.equal(first.tensors[name], tensor)
        assert torch.equal(stored.tensors[name], tensor)


def test_an_entry_without_the_stages_that_are_read_is_encoded_anew(samples, tiny_sam, store):
    assert encode_missing(samples[:1], tiny_sam, store, stages=()) == 1
    assert encode_missing(samples[:1], tiny_sam, store, stages=()) == 0
    assert encode_missing(samples[:1], tiny_sam, store, stages=(1, 2, 3)) == 1
    assert encode_missing(samples[:1], tiny_sam, store, stages=()) == 0


def test_an_image_s_features_do_not_depend_on_the_others(samples, tiny_sam):
    together = encoding.encode_images(tiny_sam, [s.image() for s in samples[:4]])
    alone = encoding.encode_images(tiny_sam, [samples[2].image()])
    assert torch.equal(together[2:3].embedding, alone.embedding)


def test_renaming_an_image_does_not_encode_it_again(samples, tiny_sam, store, checked):
    encode_missing(samples[:1], tiny_sam, store)
    image = checked[0].row.image
    moved = image.with_name("renamed.png")
    image.rename(moved)
    from dataclasses import replace

    renamed = replace(checked[0], row=replace(checked[0].row, image=moved))
    assert encode_missing([Sample.of(renamed, tiny_sam, Fit.STRETCH)], tiny_sam, store) == 0


def test_a_crop_has_features_of_its_own_and_whole_images_keep_their_place(samples, tiny_sam):
    sample = samples[0]
    cropped = replace(sample, checked=replace(sample.checked, crop=Box(2, 3, 30, 25)))
    assert cropped.key(tiny_sam).digest() != sample.key(tiny_sam).digest()
    assert cropped.geometry.crop == Box(2, 3, 30, 25)
    part = sample.checked.image()[3:25, 2:30]
    assert np.array_equal(cropped.image(), Geometry(22, 28, tiny_sam.image_size).image_to_model(part))


@pytest.mark.parametrize("recipe", list(Recipe))
def test_views_of_an_apm_s_image_have_equal_keys_only_if_they_have_equal_pixels(checked, recipe):
    """Some views are made in SAM's frame, so that their pixels in the APM's frame depend on SAM's side."""
    for number in (0, 1, 2):
        view = view_of(checked[0].pixels_sha256, number, recipe)
        one, other = (Sample(checked[0], view, side, Fit.STRETCH) for side in (64, 256))
        keys = [sample.key_at(32, "11" * 32) for sample in (one, other)]
        if keys[0].digest() == keys[1].digest():
            assert np.array_equal(one.image_at(32), other.image_at(32))
        assert (keys[0] == replace(one.key_of("11" * 32), side=32)) == isinstance(view, View)
