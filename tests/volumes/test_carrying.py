"""Masks go from the slices that are trusted most to their neighbours, as prompts."""

import weakref

import numpy as np
import torch

from promise_seg.images.geometry import Box, Geometry
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.volumes import carrying
from promise_seg.volumes.carrying import Carried, carrying_order, prompts_from, trust_in_slices
from tests.volumes.stand_in import SIDE, StandIn, bar, collected_from


def test_slices_come_from_the_peaks_of_trust_and_from_neighbours_that_are_done():
    order = list(carrying_order([0.1, 0.9, 0.2, 0.5, 0.8, 0.0]))
    assert order[:2] == [(1, []), (4, [])]
    assert [number for number, _ in order[2:]] == [3, 2, 0, 5]
    assert dict(order)[2] == [1, 3]
    done = set()
    for number, sources in order:
        assert set(sources) <= done
        done.add(number)


def test_a_peak_of_less_than_half_the_highest_trust_gets_its_mask_from_a_neighbour():
    assert list(carrying_order([0.9, 0.1, 0.3, 0.1])) == [(0, []), (1, [0]), (2, [1]), (3, [2])]


def test_every_order_reaches_all_slices_once():
    rng = np.random.default_rng(0)
    for trust in (np.zeros(5), np.ones(4), np.array([0.3]), rng.random(30)):
        order = list(carrying_order(trust))
        assert sorted(number for number, _ in order) == list(range(len(trust)))
        assert any(not sources for _, sources in order)
        assert all(abs(number - source) == 1 for number, sources in order for source in sources)


def test_a_slice_that_no_neighbour_resembles_is_not_trusted():
    own = bar([2, 3, 4])
    own[0, :3, 12:15] = True
    trust = trust_in_slices(collected_from(own, own), 0.5)
    assert trust[0] == 0
    assert trust[3] == 1
    assert trust.argmax() == 3


def test_each_component_has_a_box_a_point_inside_and_its_own_mask():
    logits = np.full((SIDE, SIDE), -5.0, np.float32)
    logits[2:6, 3:9], logits[10:12, 10:14] = 4.0, 3.0
    prompts = prompts_from(logits, 0.5, 2 * SIDE, SIDE, gives_mask=True)
    assert prompts.boxes_xyxy_model[0].tolist() == [[6, 4, 17, 11], [20, 20, 27, 23]]
    for (x, y), (left, top, right, bottom) in zip(
        prompts.points_xy_model[0, :, 0].tolist(), prompts.boxes_xyxy_model[0].tolist(), strict=True
    ):
        assert left < x < right
        assert top < y < bottom
    assert prompts.mask_logits.shape == (1, 2, SIDE, SIDE)
    assert (prompts.mask_logits[0, 0] > 0).sum() == 24
    assert (prompts.mask_logits[0, 1] > 0).sum() == 8
    assert prompts_from(logits, 0.5, SIDE, SIDE // 2, gives_mask=False).mask_logits is None
    assert prompts_from(np.full((4, 4), -1.0, np.float32), 0.5, 4, 4, gives_mask=True) is None


def test_a_threshold_of_the_model_is_that_of_what_is_carried():
    logits = np.full((SIDE, SIDE), -5.0, np.float32)
    logits[2:6, 2:6] = 0.5
    assert prompts_from(logits, 0.7, SIDE, SIDE, gives_mask=False) is None
    assert prompts_from(logits, 0.3, SIDE, SIDE, gives_mask=False) is not None


def test_slices_in_other_frames_are_asked_at_the_same_place_of_the_image():
    """Where borders are cropped, each slice has a frame of its own."""
    model = StandIn()
    there = bar([0, 1], 2)
    collected = collected_from(there, there, model=model)
    collected.geometries[1] = Geometry(SIDE, SIDE, SIDE, crop=Box(0, 0, SIDE // 2, SIDE))
    collected.predicted_iou[1] = 0.1
    Carried(collected, VolumeRule(slices="agree"), 0.5)
    left, top, right, bottom = model.asked[0].boxes_xyxy_model[0, 0].tolist()
    assert (top, bottom) == (5, 10)
    assert abs(left - 8) <= 1
    assert right == SIDE - 1


def test_in_another_frame_too_the_threshold_of_the_model_is_that_of_what_is_carried():
    model, there = StandIn(), bar([0, 1], 2)
    collected = collected_from(there, there, model=model)
    collected.geometries[1] = Geometry(SIDE, SIDE, SIDE, crop=Box(0, 0, SIDE // 2, SIDE))
    collected.predicted_iou[1] = 0.1
    faint = np.where(there[0], np.float32(-0.5), np.float32(-6.0))  # a probability of 0.38
    collected._own.put(0, faint)
    Carried(collected, VolumeRule(slices="agree"), 0.3)
    assert len(model.asked) == 1


def test_the_masks_of_three_slices_are_in_memory_while_trust_is_measured(monkeypatch):
    seen, alive = {}, []

    def dice(*masks):
        seen.update((id(mask), weakref.ref(mask)) for mask in masks)
        alive.append(sum(mask() is not None for mask in seen.values()))
        return 1.0

    monkeypatch.setattr(carrying, "_dice", dice)
    own = bar(range(9), 9)
    assert trust_in_slices(collected_from(own, own), 0.5).tolist() == [1.0] * 9
    assert max(alive) <= 3


def test_features_are_kept_exactly():
    own = bar([1])
    collected = collected_from(own, own)
    expected = np.where(np.stack([own[1], own[1]]), 6.0, -6.0)
    assert np.array_equal(collected.features(1).embedding[0].numpy(), expected)
    uneven = torch.full((1, 2, SIDE, SIDE), 1 / 3)
    collected.add(type(collected.features(0))({"embedding": uneven, "apm_maps": uneven}), Geometry(SIDE, SIDE, SIDE))
    assert torch.equal(collected.features(7).embedding, uneven)
    assert set(collected.features(7).tensors) == {"embedding"}
