import numpy as np
import pytest
import torch

from promise_seg.learning.losses import (
    map_loss,
    mask_iou,
    mask_loss,
    point_loss,
    signed_distances,
    targets_of_sets,
    token_affinity_loss,
)
from tests.instances.drawn import discs


def test_the_mask_loss_takes_logits():
    target = torch.zeros(1, 8, 8)
    target[0, 2:6, 2:6] = 1
    perfect = (target * 2 - 1) * 20
    assert mask_loss(perfect, target).item() == pytest.approx(0, abs=1e-3)
    assert mask_loss(-perfect, target).item() > 10
    half = torch.zeros_like(target)
    bce = torch.nn.functional.binary_cross_entropy(half.sigmoid(), target)
    dice = 1 - (2 * 8 + 1) / (32 + 16 + 1)
    assert mask_loss(half, target).item() == pytest.approx(bce.item() + dice, abs=1e-5)


def test_the_mask_loss_is_one_value_for_each_mask():
    assert mask_loss(torch.randn(2, 3, 4, 8, 8), torch.rand(2, 1, 1, 8, 8)).shape == (2, 3, 4)


@pytest.mark.parametrize("near", [(1, 5), (3, 5), (2, 9)], ids=["two outside", "one inside", "beside a corner"])
def test_a_wrong_cell_at_an_outline_costs_more_than_one_far_away_by_the_edge_weight(near):
    """In the cross-entropy; the soft Dice knows no places."""
    target = torch.zeros(1, 16, 16)
    target[0, 3:11, 3:8] = 1

    def cost(place, edge_weight):
        logits = (target * 2 - 1) * 20
        logits[0][place] *= -1
        return float(map_loss(logits, target, edge_weight) - mask_loss(logits, target, bce_weight=0).mean())

    far = (14, 14)
    for edge_weight in (0, 2, 3.5):
        assert cost(far, edge_weight) == pytest.approx(20 / 16**2, rel=1e-3)
        assert cost(near, edge_weight) == pytest.approx((1 + edge_weight) * 20 / 16**2, rel=1e-3)


def test_the_iou_counts_pixels_and_two_empty_masks_are_alike():
    empty, full = torch.full((4, 4), -1.0), torch.full((4, 4), 1.0)
    assert mask_iou(empty, torch.zeros(4, 4)) == 1
    assert mask_iou(full, torch.zeros(4, 4)) == 0
    half = torch.zeros(4, 4)
    half[:2] = 1
    assert mask_iou(full, half) == 0.5


def test_distances_are_positive_inside_and_at_their_ends_where_there_is_no_outline():
    mask = np.zeros((10, 10), bool)
    mask[2:8, 2:8] = True
    distance = signed_distances(mask)
    assert distance[5, 5] > 0.2 > 0 > distance[0, 0]
    assert (signed_distances(np.zeros((4, 4), bool)) == -1).all()
    assert (signed_distances(np.ones((4, 4), bool)) == 1).all()


def test_points_on_their_side_cost_nothing_and_others_are_led_there():
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    distance = torch.from_numpy(signed_distances(mask))[None]
    good = torch.tensor([[[63.5, 63.5], [10.0, 10.0]]])
    labels = torch.tensor([[1, 0]])
    assert point_loss(good, labels, distance, 128) == 0
    bad = torch.tensor([[[20.0, 64.0], [90.0, 64.0]]], requires_grad=True)
    point_loss(bad, labels, distance, 128).backward()
    assert bad.grad[0, 0, 0] < 0, "the foreground point should move right, into the mask"
    assert bad.grad[0, 1, 0] < 0, "the background point should move right, out of the mask"


def point_cost(mask, x, y, label=1):
    """What one point costs, in a model frame with eight pixels for each of the mask."""
    distance = torch.from_numpy(signed_distances(mask))[None]
    return float(point_loss(torch.tensor([[[x, y]]]), torch.tensor([[label]]), distance, 8 * len(mask)))


def test_points_are_compared_with_the_outline_at_their_x_and_y():
    mask = np.zeros((16, 16), bool)
    mask[2:6, 8:14] = True
    assert point_cost(mask, 87.5, 31.5) == 0
    assert point_cost(mask, 31.5, 87.5) > 0.1
    assert point_cost(mask, 87.5, 31.5, label=0) > 0.1
    assert point_cost(mask, 31.5, 87.5, label=0) == 0
    row, column = 9, 3  # whose centre is here in the model frame
    assert point_cost(mask, 8 * (column + 0.5) - 0.5, 8 * (row + 0.5) - 0.5) == pytest.approx(
        0.02 - signed_distances(mask)[row, column], abs=1e-6
    )


@pytest.mark.parametrize("label", [0, 1])
def test_a_point_on_the_outline_costs_the_margin(label):
    mask = np.zeros((16, 16), bool)
    mask[2:6, 8:14] = True
    assert point_cost(mask, 63.5, 31.5, label) == pytest.approx(0.02, abs=1e-6)


def test_points_that_are_no_numbers_do_not_crash_the_process():
    points_xy_model = torch.full((1, 2, 2), float("nan"), requires_grad=True)
    point_loss(points_xy_model, torch.tensor([[1, 0]]), torch.zeros(1, 32, 32), 128).backward()
    assert points_xy_model.grad is not None


def test_affinity_rewards_tokens_that_are_alike_within_objects_only():
    instances = torch.tensor([[0, 0, 1, 1]])
    sorted_tokens = torch.tensor([[[1.0, 0], [1, 0], [-1, 0], [-1, 0]]])
    mixed_tokens = torch.tensor([[[1.0, 0], [-1, 0], [1, 0], [-1, 0]]])
    assert token_affinity_loss(sorted_tokens, instances) < 0.1
    assert token_affinity_loss(mixed_tokens, instances) > 2


@pytest.mark.parametrize("instances", [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 2, 3]])
def test_pairs_of_one_object_weigh_as_much_as_all_others_however_many_there_are(instances):
    """Where all tokens are alike, with logits of 6 for all pairs, those of one object are right and others wrong."""
    alike = torch.ones(1, 4, 2)
    right, wrong = (torch.nn.functional.softplus(torch.tensor(logit)).item() for logit in (-6.0, 6.0))
    assert token_affinity_loss(alike, torch.tensor([instances])).item() == pytest.approx((right + wrong) / 2, rel=5e-3)


@pytest.mark.parametrize("place", [(slice(8, 12), slice(8, 12)), (slice(9, 11), slice(9, 10))])
def test_the_target_of_a_set_is_the_whole_object_that_its_region_touches_however_small_the_region(place):
    """The second region has no cell that a coarser grid of every second cell would keep."""
    regions = torch.zeros(1, 16, 16)
    regions[0][place] = 1
    target = torch.zeros(1, 8, 8)
    target[0, 4:7, 4:7], target[0, 0:2, 0:2] = 0.8, 1
    found = targets_of_sets(regions, torch.tensor([[1]]), target)
    assert found.sum().item() == pytest.approx(9 * 0.8)
    assert found[0, 0, 4:7, 4:7].min() == pytest.approx(0.8)


def test_a_region_on_a_third_of_a_disc_asks_for_all_of_it_and_nothing_of_another():
    labels = discs((9, 10, 6), (24, 23, 5))
    one, other = (torch.from_numpy(labels == number).float() for number in (1, 2))
    regions = torch.zeros(1, 32, 32)
    regions[0, :8], regions[0, 20:23] = one[:8], 2 * other[20:23]
    assert 0.2 < (regions == 1).sum() / one.sum() < 0.4
    found = targets_of_sets(regions, torch.tensor([[1, 2]]), (one + other)[None])
    assert torch.equal(found, torch.stack([one, other])[None])
