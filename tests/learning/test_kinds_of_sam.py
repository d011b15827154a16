"""A model around any kind of SAM is trained, saved, loaded and asked, as one around a SAM 1 is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import promise_seg
from promise_seg.checkpoint import load_checkpoint
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.inference.encoding import Sample, sam_features
from promise_seg.learning.presence import presence_threshold
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.kinds import freeze
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, TrainAlso
from tests.helpers import disc_image, make_model
from tests.learning.runs import start
from tests.sam.tiny import TINY


@pytest.fixture(scope="module", params=TINY)
def sam(request, tmp_path_factory):
    """A SAM of one kind, called by the folder that it can be loaded from."""
    folder = tmp_path_factory.mktemp(request.param)
    model = TINY[request.param](0)
    model.save_pretrained(folder)
    return freeze(model, str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["apm+ips", "ips", "apm"])
def test_one_epoch_then_predicting_and_loading_again(sam, variant, checked, store, accelerator, tmp_path):
    before = weights_sha256(sam.model)
    run = start(tmp_path / "run", checked, sam, store, accelerator, variant=variant, epochs=1)
    parts = {name: value.clone() for name, value in run.model.trainable_state().items()}
    model = run.run()
    moved = {
        name.split(".")[0] for name, value in model.trainable_state().items() if not torch.equal(value, parts[name])
    }
    assert moved >= set(variant.split("+"))
    assert weights_sha256(sam.model) == before
    image, _ = disc_image(40)
    given = {"points_xy": [(20, 12)], "point_labels": [1]} if variant == "ips" else {}
    predictor = promise_seg.load(tmp_path / "run")
    found = predictor.predict(image, **given)
    assert found.mask_probs.shape == image.shape[:2]
    again = promise_seg.load(tmp_path / "run").predict(image, **given)
    np.testing.assert_array_equal(found.mask_probs, again.mask_probs)
    refined = predictor.predict(image, points_xy=[(20, 12)], point_labels=[1], mask_input=found.mask_logits)
    assert refined.mask_probs.shape == image.shape[:2]


@pytest.mark.parametrize("apm", [ApmKind.HEATMAP, ApmKind.PEAKS, ApmKind.RESNET, ApmKind.CROSS, ApmKind.PRETRAINED])
def test_every_apm_proposes_and_learns(sam, apm):
    model = make_model(sam, apm=apm)
    if apm == ApmKind.PRETRAINED:
        model.apm.load_pretrained_weights()
    images = torch.randint(0, 256, (2, sam.image_size, sam.image_size, 3), generator=torch.Generator().manual_seed(0))
    output = model.train()(model.encode(images))
    loss = output.own.mask_logits.square().mean()
    if output.proposal.saliency_logits is not None:
        loss = loss + output.proposal.saliency_logits.square().mean()
    loss.backward()
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.apm.parameters())
    assert model.ips.lin2.weight.grad.abs().sum() > 0


def test_features_from_the_store_are_those_that_are_computed(sam, checked, store):
    sample = Sample.of(checked[0], sam, "stretch")
    first = sam_features([sample], sam, store)
    assert sample.key(sam) in store
    stored = store.get(sample.key(sam))
    assert stored.tensors.keys() == first.tensors.keys()
    for name, value in sam_features([sample], sam, None).tensors.items():
        torch.testing.assert_close(stored.tensors[name], value)


@pytest.mark.slow
def test_a_model_of_another_sam_is_refused(sam, checked, store, accelerator, tmp_path):
    start(tmp_path / "run", checked, sam, store, accelerator, epochs=1).run()
    other = freeze(TINY[sam.model.config.model_type](1), "other")
    with pytest.raises(CheckpointError, match=r"was trained on the SAM .* but 'other' has other weights"):
        load_checkpoint(tmp_path / "run", other)
    with pytest.raises(CheckpointError, match=r"was trained on the SAM"):
        load_checkpoint(tmp_path / "run", "nano")


def test_parts_of_it_cannot_be_trained(sam, checked, store, accelerator, tmp_path):
    with pytest.raises(SettingsError, match=r"--train-also decoder: parts of .* cannot be trained"):
        start(tmp_path / "run", checked, sam, store, accelerator, train_also=TrainAlso.DECODER)


@pytest.mark.slow
def test_the_object_score_says_that_there_is_nothing(sam, checked, monkeypatch):
    """Measured on rows of both kinds, and used only where it is better than a guess."""
    model = make_model(sam).eval()
    empty = np.zeros((checked[0].height, checked[0].width), bool)
    rows = [replace(row) for row in checked * 2]
    for row in rows[::2]:
        object.__setattr__(row, "foreground_pixels", 0)
        object.__setattr__(row, "mask", lambda: empty)
    scores = {}

    def sam_masks(features, prompts, **kwargs):
        decoded = model.sam.decode(features, prompts)
        if decoded.object_logits is None:
            return decoded
        score = torch.full_like(decoded.object_logits, next(scores["found"]))
        return decoded._replace(object_logits=score, mask_logits=torch.full_like(decoded.mask_logits, 9.0))

    monkeypatch.setattr(model, "sam_masks", sam_masks)
    # twice for each row: for what the score is, and for the mask
    scores["found"] = iter([score for row in rows for score in [2.0 if row.foreground_pixels else -3.0] * 2])
    threshold = presence_threshold(model, rows, None)
    has_score = model.sam.decode(
        model.encode(torch.zeros(1, sam.image_size, sam.image_size, 3)), Prompts()
    ).object_logits
    if has_score is None:
        assert threshold is None
        return
    assert 0.04 < threshold < 0.9
    scores["found"] = iter([0.5] * 2 * len(rows))
    assert presence_threshold(model, rows, None) is None
    model.config = model.config.model_copy(update={"presence_threshold": threshold})
    features = model.encode(torch.zeros(1, sam.image_size, sam.image_size, 3))
    for score, hidden in ((-3.0, True), (2.0, False)):
        scores["found"] = iter([score] * 4)
        masks = model.decode(features, model.propose(features)).mask_logits
        assert bool((masks == -20).all()) == hidden
