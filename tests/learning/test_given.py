"""The prompts of a simulated person: what they are drawn from, and how often."""

from collections import Counter

import numpy as np
import pytest
import torch

from promise_seg.learning.given import GivenForm, draw_forms, drawn_box, prompts_of_form


def test_every_form_is_drawn_and_clicks_are_never_more_than_there_are():
    drawn = [draw_forms(np.random.default_rng([0, step]), 8) for step in range(400)]
    clicks, boxes = Counter(one for one, _ in drawn), Counter(other for _, other in drawn)
    assert set(clicks) == {GivenForm(points, False) for points in (1, 2, 4, 8)}
    assert set(boxes) == {GivenForm(points, True) for points in (0, 1, 2, 4)}
    assert boxes[GivenForm(0, True)] > 200


def test_a_box_misses_a_little_and_has_an_area_in_the_frame():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 5:25] = True
    boxes = np.array([drawn_box(mask, np.random.default_rng(seed)) for seed in range(200)])
    assert len(np.unique(boxes, axis=0)) == 200
    assert np.abs(boxes - [5, 10, 24, 29]).max() <= 0.15 * 20
    np.testing.assert_allclose(boxes.mean(0), [5, 10, 24, 29], atol=0.3)
    corner = np.zeros((40, 40), bool)
    corner[39, 39] = True
    for shape in (corner, ~corner, ~np.zeros((40, 40), bool), np.zeros((40, 40), bool)):
        for seed in range(50):
            left, top, right, bottom = drawn_box(shape, np.random.default_rng(seed))
            assert 0 <= left <= right <= 39
            assert 0 <= top <= bottom <= 39


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        (GivenForm(1, False), [1]),
        (GivenForm(2, False), [1, 0]),
        (GivenForm(4, True), [1, 1, 0, 0]),
        (GivenForm(16, False), [1] * 8 + [0] * 8),
    ],
)
def test_half_of_the_points_are_foreground_and_a_single_one_is(form, labels):
    points = torch.arange(32.0).reshape(1, 1, 16, 2)
    drawn = torch.tensor([[[1] * 8 + [0] * 8]])
    prompts = prompts_of_form(points, drawn, torch.tensor([[[1.0, 2, 3, 4]]]), form)
    assert prompts.point_labels.tolist() == [[labels]]
    assert (prompts.boxes_xyxy_model is not None) == form.has_box
    taken = (prompts.points_xy_model[0, 0, :, 0] / 2).long()
    assert drawn[0, 0][taken].tolist() == labels


def test_an_image_without_an_object_gives_background_points_and_a_full_one_foreground():
    points = torch.zeros(2, 1, 16, 2)
    labels = torch.stack([torch.zeros(1, 16), torch.ones(1, 16)]).long()
    prompts = prompts_of_form(points, labels, torch.zeros(2, 1, 4), GivenForm(4, False))
    assert prompts.point_labels.tolist() == [[[0] * 4], [[1] * 4]]


def test_a_box_alone_is_nothing_but_a_box():
    prompts = prompts_of_form(
        torch.zeros(1, 1, 2, 2), torch.tensor([[[1, 0]]]), torch.zeros(1, 1, 4), GivenForm(0, True)
    )
    assert prompts.points_xy_model is None
    assert prompts.boxes_xyxy_model.shape == (1, 1, 4)
