"""The annotator proposes single objects: each with its own mask, box and point, however many there are."""

import zlib
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from promise_seg.annotator import actions, bits
from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.project import Project
from promise_seg.annotator.proposals import proposals_of
from promise_seg.instances.finding import find_instances
from promise_seg.prompting.apm import NOT_ASKED_FOR, Proposal
from tests.annotator.helpers import Tab, client_of, mask_of, model_around, refusal
from tests.instances.drawn import SURE, depth_of, discs

PLACES = tuple((x, y, 2 + (x + y) % 2) for y in (4, 12, 20, 28) for x in (4, 10, 16, 22, 28))
DISCS = discs(*PLACES)


def model_that_sees(sam, labels, *, separates, most=16):
    """A model whose maps show these objects (r, r), whatever the image, with prompts for ``most`` of them."""
    model = model_around(sam)
    saliency = torch.from_numpy(np.where(labels > 0, SURE, -SURE).astype(np.float32))[None]
    depth = torch.from_numpy(depth_of(labels)).clamp(1e-4, 1 - 1e-4)[None]
    count = min(int(labels.max()), most)
    rows, columns = zip(*(np.argwhere(labels == number).mean(0) for number in range(1, count + 1)), strict=True)
    regions = np.where(labels > count, NOT_ASKED_FOR, labels)

    def propose(features):
        return Proposal(
            points_xy_model=torch.tensor([[[[x, y]] for x, y in zip(columns, rows, strict=True)]], dtype=torch.float32),
            point_labels=torch.ones(1, count, 1, dtype=torch.long),
            saliency_logits=saliency,
            distance_logits=depth.logit(),
            regions=torch.from_numpy(regions)[None],
            numbers=torch.arange(1, count + 1)[None],
        )

    model.model.apm.forward = propose
    model.model.apm.separates = separates
    model.model.config = model.model.config.model_copy(update={"map_share": 1.0})
    return model


def objects_in(tab):
    """The masks of the objects of an image, by their numbers, once they are proposed."""
    return {one["id"]: mask_of(one) for one in tab.act("propose", slice=0)["changed"]}


@pytest.fixture
def tab_of(images, folder):
    """Open the first image of a project with a model."""
    with ExitStack() as opened:

        def open_tab(model):
            tab = Tab(client_of(opened.enter_context(Project(model, [images], folder))), 1)
            assert tab.open().status_code == 200
            return tab

        yield open_tab


@pytest.mark.parametrize(("separates", "most"), [(True, 16), (True, 100), (False, 16)])
def test_each_object_of_an_image_is_proposed_with_its_own_mask(tiny_sam, tab_of, images, separates, most):
    model = model_that_sees(tiny_sam, DISCS, separates=separates, most=most)
    tab = tab_of(model)
    masks = objects_in(tab)
    labels = model.predict_instances(images.parent / "images/0.png").labels
    assert len(masks) == len(PLACES)
    for number, mask in masks.items():
        assert np.array_equal(mask, labels == number)
        one = tab.objects[number]
        rows, columns = np.nonzero(mask)
        assert one["box"] == [columns.min(), rows.min(), columns.max(), rows.max()]
        (point,) = one["points"]
        assert mask[round(point["y"]), round(point["x"])]
        assert 0 < one["score"] <= 1


@pytest.mark.parametrize(("count", "separates"), [(20, True), (20, False), (3, False)])
@pytest.mark.parametrize("seed", [0, 1])
def test_prompts_are_proposed_once_and_each_mask_is_compressed_once(tiny_sam, monkeypatch, seed, count, separates):
    places = [PLACES[number] for number in np.random.default_rng(seed).permutation(len(PLACES))[:count]]
    model = model_that_sees(tiny_sam, discs(*places), separates=separates)
    encoded = model.encode(np.zeros((30, 40, 3), np.uint8))
    if count > 16:
        found = find_instances(model.model, encoded.features, encoded.geometry).objects
        masks = [MaskBits.of(one.mask, one.left, one.top) for one in found]
        boxes = [_edges(mask.box) for mask in masks]
    else:
        masks = [MaskBits.of(one.mask) for one in model.predict_objects(encoded)]
        boxes = [None] * count
    calls = []
    propose, compress = model.model.apm.forward, zlib.compress
    model.model.apm.forward = lambda features: calls.append("propose") or propose(features)
    monkeypatch.setattr(bits.zlib, "compress", lambda *given: calls.append("compress") or compress(*given))
    proposed = list(proposals_of(model, encoded, 1))
    assert [answer.mask for _, answer in proposed] == masks
    assert [prompts.box for prompts, _ in proposed] == boxes
    assert (calls.count("propose"), calls.count("compress")) == (1, count)


def _edges(box):
    left, top, width, height = box
    return left, top, left + width - 1, top + height - 1


def test_few_objects_keep_the_prompts_of_the_model_and_get_their_own_masks(tiny_sam, tab_of):
    few = discs(*PLACES[:3])
    masks = objects_in(tab_of(model_that_sees(tiny_sam, few, separates=False)))
    assert len(masks) == 3
    assert np.sum(list(masks.values()), axis=0).max() == 1


def test_an_image_that_is_judged_empty_gets_no_objects(tiny_sam, tab_of):
    model = model_that_sees(tiny_sam, DISCS, separates=True)
    seen = model.model.apm.forward
    model.model.apm.forward = lambda features: Proposal(
        **(vars(seen(features)) | {"presence_logits": torch.tensor([-3.0])})
    )
    model.model.config = model.model.config.model_copy(update={"presence_threshold": 0.5})
    assert objects_in(tab_of(model)) == {}


def test_a_separated_object_gets_the_candidates_of_sam_when_one_is_chosen(tiny_sam, tab_of):
    tab = tab_of(model_that_sees(tiny_sam, DISCS, separates=True))
    objects_in(tab)
    assert tab.objects[1]["candidates"] == []
    (chosen,) = tab.act("candidate", object=1, candidate=2)["changed"]
    assert (chosen["chosen"], len(chosen["candidates"]), chosen["automatic"]) == (2, 3, False)
    assert chosen["box"] == tab.objects[1]["box"]


def test_a_click_on_a_separated_object_is_answered_with_its_box(tiny_sam, tab_of):
    tab = tab_of(model_that_sees(tiny_sam, DISCS, separates=True))
    objects_in(tab)
    one = tab.objects[1]
    (corrected,) = tab.act("prompts", object=1, points=one["points"], box=one["box"])["changed"]
    assert len(corrected["candidates"]) == 3


def test_the_surest_objects_are_shown_if_there_are_too_many(tiny_sam, tab_of, monkeypatch):
    monkeypatch.setattr(actions, "MOST_OBJECTS", 7)
    model = model_that_sees(tiny_sam, DISCS, separates=True)
    tab = tab_of(model)
    answer = tab.act("propose", slice=0)
    assert len(answer["changed"]) == 7
    assert answer["note"] == (
        "The model proposes 20 objects here. The 7 with the highest scores are shown, because an image can have 7 "
        "objects"
    )
    scores = sorted((one[2].score for one in _proposed(model)), reverse=True)
    assert sorted((one["score"] for one in answer["changed"]), reverse=True) == pytest.approx(scores[:7])
    assert refusal(tab.send({"type": "add", "slice": 0, "class": 1, "points": []})) == (422, "invalid")


def _proposed(model):
    encoded = model.encode(np.zeros((30, 40, 3), np.uint8))
    return [(1, *one) for one in proposals_of(model, encoded, 1)]
