"""A trunk that several APMs share is run once for each image, with the same outputs as without the cache."""

import pytest
import torch

from promise_seg.errors import PromiseError
from promise_seg.inference import apm_cache
from promise_seg.inference.apm_cache import caching_apm_outputs
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.learning.class_networks import own_names, tie
from promise_seg.learning.config_of_run import config_of_run
from promise_seg.learning.settings import make_settings
from promise_seg.model import PromiseModel
from promise_seg.storage.kept_arrays import KeptArrays

SETTINGS = make_settings(apm="pretrained", apm_side=32)


def build(checked, sam):
    torch.manual_seed(0)
    return PromiseModel(config_of_run(SETTINGS, checked, sam, separates=False), sam).eval()


@pytest.fixture
def models(checked, tiny_sam):
    """Two classes of one network, whose heads differ."""
    models = [build(checked, tiny_sam) for _ in range(2)]
    tie(models)
    with torch.no_grad():
        for name, one in models[1].named_parameters():
            if name.startswith(own_names(models[1])):
                one.add_(0.1)
    return models


def counted(models, monkeypatch):
    """Return a list that gets an entry each time that one of the models runs its trunk."""
    trunk_runs = []
    for model in models:
        real = model.apm.trunk_features
        monkeypatch.setattr(
            model.apm, "trunk_features", lambda features, real=real: trunk_runs.append(1) or real(features)
        )
    return trunk_runs


def found(models, rows, store):
    """Return the features of some rows, class after class."""
    return [model_features([Sample.of(row, model.sam, model.config.fit) for row in rows], model, store).tensors
            for model in models]  # fmt: skip


def same(one, other):
    return all(
        set(a) == set(b) and all(torch.equal(value, b[name]) for name, value in a.items())
        for a, b in zip(one, other, strict=True)
    )


def test_the_trunk_is_run_once_per_image_for_all_classes(models, checked, store, monkeypatch):
    expected = found(models, checked[:4], store)
    assert not same(expected[:1], expected[1:])
    trunk_runs = counted(models, monkeypatch)
    with caching_apm_outputs(models):
        assert same(found(models, checked[:4], store), expected)
        assert same(found(models[::-1], checked[1:3], store), [
            {name: value[1:3] for name, value in one.items()} for one in reversed(expected)
        ])  # fmt: skip
        assert len(trunk_runs) == 4
    found(models, checked[:1], store)
    assert len(trunk_runs) == 6  # nothing is kept any longer


def test_models_that_share_no_trunk_run_their_own(models, checked, tiny_sam, store, monkeypatch):
    apart = [models[0], build(checked, tiny_sam)]
    trunk_runs = counted(apart, monkeypatch)
    for some in (apart, apart[:1]):
        with caching_apm_outputs(some):
            found([*some, *some], checked[:1], store)
        assert len(trunk_runs) == 2 * len(some)
        trunk_runs.clear()


def test_outputs_that_there_is_no_room_for_are_computed_again(models, checked, store, monkeypatch):
    expected = found(models, checked[:3], store)
    trunk_runs = counted(models, monkeypatch)
    monkeypatch.setattr(apm_cache, "MOST_BYTES", 1)
    with caching_apm_outputs(models):
        assert same(found(models, checked[:3], store), expected)
    assert len(trunk_runs) == 1 + 2 * 2

    def fail(*_):
        raise PromiseError("no room")

    monkeypatch.setattr(KeptArrays, "put", fail)
    with caching_apm_outputs(models):
        assert same(found(models, checked[:3], store), expected)
