"""From features and prompts to masks in the image frame: the only place where that is done."""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import promise_seg
from promise_seg.images.geometry import Geometry
from promise_seg.inference.masks import Masks, decode_masks, decode_one, probs_in_image
from promise_seg.prediction.predictor import Predictor
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, Fit, Variant
from tests.helpers import disc_image, make_model, some_points


def shifted_model(sam, variant=Variant.APM_IPS, apm=ApmKind.HEATMAP, seed=0):
    """A model whose shift does something, which an untrained one's does not."""
    model = make_model(sam, variant, apm)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.ips.lin2.weight.copy_(torch.randn(model.ips.lin2.weight.shape, generator=generator))
    return model.eval()


def geometries(count):
    return [Geometry(30 + 5 * number, 40, 32, Fit.STRETCH) for number in range(count)]


def test_images_of_a_batch_get_their_own_masks_and_sizes(tiny_sam, images):
    model = shifted_model(tiny_sam)
    features, prompts = tiny_sam.encode(images), some_points(sets=3)
    with torch.no_grad():
        both = decode_masks(model, features, prompts, geometries(2))
    for number, masks in enumerate(both):
        part = slice(number, number + 1)
        alone = decode_one(model, features[part], prompts.images(number, number + 1), geometries(2)[number])
        torch.testing.assert_close(masks.mask_logits, alone.mask_logits, atol=1e-3, rtol=1e-3)
        assert masks.probs_of_set(1, "score").shape == (30 + 5 * number, 40)


def test_sets_that_an_image_of_a_batch_repeats_are_no_masks_of_it(tiny_sam, images):
    """They once counted in its mean predicted IoU, so that a score depended on the other images of the batch."""
    model, given = shifted_model(tiny_sam), some_points(sets=3)
    repeated = [part[:, [0, 1, 1]] for part in (given.points_xy_model, given.point_labels)]
    proposal = Proposal(
        points_xy_model=torch.cat([given.points_xy_model[:1], repeated[0][1:]]),
        point_labels=torch.cat([given.point_labels[:1], repeated[1][1:]]),
        numbers=torch.tensor([[1, 2, 3], [1, 2, 2]]),
    )
    with torch.no_grad():
        first, second = decode_masks(model, tiny_sam.encode(images), proposal, geometries(2))
    assert (len(first.iou), len(second.iou)) == (3, 2)
    (of_all,) = decode_masks(model, tiny_sam.encode(images)[1:], some_sets_of(proposal), geometries(1))
    torch.testing.assert_close(second.iou, of_all.iou, atol=1e-4, rtol=1e-4)


def some_sets_of(proposal):
    """The first two sets of the second image alone."""
    points, labels = proposal.points_xy_model[1:, :2], proposal.point_labels[1:, :2]
    return Proposal(points_xy_model=points, point_labels=labels, numbers=torch.tensor([[1, 2]]))


@pytest.mark.parametrize("choice", ["0", "1", "2", "score"])
def test_a_choice_takes_that_candidate_of_each_set(choice):
    mask_logits = torch.tensor([[-3.0, -2.0, 3.0], [4.0, -2.0, -3.0]])[..., None, None].expand(2, 3, 8, 8)
    iou = torch.tensor([[0.1, 0.9, 0.5], [0.8, 0.2, 0.3]])
    masks = Masks(mask_logits, iou, Geometry(8, 8, 32, Fit.STRETCH))
    expected = [1, 0] if choice == "score" else [int(choice)] * 2
    logits, chosen_iou = masks.chosen(choice)
    for number, candidate in enumerate(expected):
        assert logits[number].unique().item() == mask_logits[number, candidate, 0, 0].item()
        assert chosen_iou[number] == iou[number, candidate]
        alone = masks.probs_of_candidates(number)[candidate]
        assert np.array_equal(masks.probs_of_set(number, choice), alone)
    together = np.maximum(masks.probs_of_set(0, choice), masks.probs_of_set(1, choice))
    np.testing.assert_allclose(masks.probs(choice), together, atol=1e-6)


def test_probabilities_are_numbers_of_the_image_s_own_size():
    logits = torch.full((2, 3, 8, 8), 1000.0)
    probs = probs_in_image(logits, Geometry(21, 13, 32, Fit.PAD))
    assert (probs.shape, probs.dtype) == ((2, 3, 21, 13), np.float32)
    assert (probs == 1).all()


@pytest.mark.slow
def test_nothing_else_turns_logits_into_masks_of_the_image():
    """The step was written six times once, and the copies had begun to differ."""
    root = Path(promise_seg.__file__).parent
    users = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "logits_to_image"
    }
    # The mean mask of a benchmark is no model's, and has no logits. The program of an export stands by itself.
    assert users == {"inference/masks.py", "benchmarking/plain_rules.py", "exporting/program/predict.py"}


@pytest.mark.slow
def test_two_threads_on_one_sam_give_the_masks_of_one_after_the_other(tiny_sam):
    """A shift was once a hook on the shared decoder: with two threads, most masks were of both models' shifts."""
    first = Predictor(shifted_model(tiny_sam, seed=1))
    second = Predictor(shifted_model(tiny_sam, apm=ApmKind.RESNET, seed=2))
    encoded = [first.encode(disc_image(seed)[0]) for seed in range(2)]

    def predict(number):
        model, image = (first, second)[number % 2], encoded[number // 2 % 2]
        if number % 3:
            return model.predict(image).mask_probs
        return model.predict(image, points_xy=[[5 + number % 20, 12]], point_labels=[number % 2]).mask_probs

    alone = [predict(number) for number in range(12)]
    assert not np.allclose(alone[1], alone[2], atol=1e-3), "the models must differ, or this test cannot fail"
    with ThreadPoolExecutor(2) as pool:
        for number, probs in zip(range(200), pool.map(predict, range(200)), strict=True):
            assert np.array_equal(probs, predict(number)), number


def test_encoding_in_threads_gives_the_same_features(tiny_sam, images):
    expected = tiny_sam.encode(images).tensors["stages"]
    with ThreadPoolExecutor(2) as pool:
        for features in pool.map(lambda _: tiny_sam.encode(images), range(40)):
            assert torch.equal(features.tensors["stages"], expected)


def test_prompts_may_be_on_another_device_than_the_model(tiny_sam, images):
    model = shifted_model(tiny_sam)
    masks = decode_one(model, tiny_sam.encode(images[:1]), Prompts(), geometries(1)[0])
    assert masks.mask_logits.device == tiny_sam.device
    assert not masks.mask_logits.requires_grad
