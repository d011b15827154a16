"""Auto-prompters of one network look once at an image, and find what each of them finds alone."""

import pytest
import torch

from promise_seg.errors import PromiseError
from promise_seg.inference import looking
from promise_seg.inference.encoding import Sample, features_for
from promise_seg.inference.looking import looking_once
from promise_seg.kept_arrays import KeptArrays
from promise_seg.learning.class_networks import own_names, tie
from promise_seg.learning.config_of_run import config_of_run
from promise_seg.learning.settings import make_settings
from promise_seg.model import PromiseModel

SETTINGS = make_settings(apm="pretrained", apm_side=32)


def build(checked, sam):
    torch.manual_seed(0)
    return PromiseModel(config_of_run(SETTINGS, checked, sam, separates=False), sam).eval()


@pytest.fixture
def models(checked, tiny_sam):
    """Two classes of one network, whose last layers differ."""
    models = [build(checked, tiny_sam) for _ in range(2)]
    tie(models)
    with torch.no_grad():
        for name, one in models[1].named_parameters():
            if name.startswith(own_names(models[1])):
                one.add_(0.1)
    return models


def counted(models, monkeypatch):
    """Return a list that gets an entry for each look of an image by one of the models."""
    looks = []
    for model in models:
        real = model.apm.see
        monkeypatch.setattr(model.apm, "see", lambda features, real=real: looks.append(1) or real(features))
    return looks


def found(models, rows, store):
    """Return the findings in some rows, class after class."""
    return [features_for([Sample.of(row, model.sam, model.config.fit) for row in rows], model, store).tensors
            for model in models]  # fmt: skip


def same(one, other):
    return all(
        set(a) == set(b) and all(torch.equal(value, b[name]) for name, value in a.items())
        for a, b in zip(one, other, strict=True)
    )


def test_each_image_is_looked_at_once_for_all_classes(models, checked, store, monkeypatch):
    expected = found(models, checked[:4], store)
    assert not same(expected[:1], expected[1:])
    looks = counted(models, monkeypatch)
    with looking_once(models):
        assert same(found(models, checked[:4], store), expected)
        assert same(found(models[::-1], checked[1:3], store), [
            {name: value[1:3] for name, value in one.items()} for one in reversed(expected)
        ])  # fmt: skip
        assert len(looks) == 4
    found(models, checked[:1], store)
    assert len(looks) == 6  # nothing is kept any longer


def test_models_that_share_nothing_look_for_themselves(models, checked, tiny_sam, store, monkeypatch):
    apart = [models[0], build(checked, tiny_sam)]
    looks = counted(apart, monkeypatch)
    for some in (apart, apart[:1]):
        with looking_once(some):
            found([*some, *some], checked[:1], store)
        assert len(looks) == 2 * len(some)
        looks.clear()


def test_what_there_is_no_room_for_is_looked_at_again(models, checked, store, monkeypatch):
    expected = found(models, checked[:3], store)
    looks = counted(models, monkeypatch)
    monkeypatch.setattr(looking, "MOST_BYTES", 1)
    with looking_once(models):
        assert same(found(models, checked[:3], store), expected)
    assert len(looks) == 1 + 2 * 2

    def fail(*_):
        raise PromiseError("no room")

    monkeypatch.setattr(KeptArrays, "put", fail)
    with looking_once(models):
        assert same(found(models, checked[:3], store), expected)
