"""The map of the auto-prompter has a share in masks, but a person's click is always right."""

import pytest
import torch

from promise_seg.prompting.map_in_masks import with_map_where_clicks_agree
from promise_seg.sam.prompts import Prompts

SIDE = 64


def square(left: int, top: int, size: int = 8, cells: int = 32) -> torch.Tensor:
    """Logits (cells, cells): 4 inside of a square, -4 elsewhere."""
    logits = torch.full((cells, cells), -4.0)
    logits[top : top + size, left : left + size] = 4
    return logits


def clicks(*given: tuple[int, int, int]) -> Prompts:
    """Clicks (column, row, label) on cells of 2 pixels of the model frame."""
    points = torch.tensor([[2.0 * x + 0.5, 2.0 * y + 0.5] for x, y, _ in given])
    return Prompts(points_xy_model=points[None, None], point_labels=torch.tensor([one[2] for one in given])[None, None])


SAM, MAP = square(2, 2), square(20, 20)
INSIDE_SAM, INSIDE_MAP, NOWHERE = (5, 5), (23, 23), (12, 28)


def mixed(prompts: Prompts, share: float = 0.5) -> torch.Tensor:
    return with_map_where_clicks_agree(SAM[None, None, None], MAP[None], prompts, share, SIDE)[0, 0, 0]


def test_without_clicks_the_map_has_its_share_everywhere():
    box = Prompts(boxes_xyxy_model=torch.tensor([[[0.0, 0, 30, 30]]]))
    for share in (0.0, 0.25, 1.0):
        torch.testing.assert_close(mixed(box, share), (1 - share) * SAM + share * MAP)


@pytest.mark.parametrize("click", [(*INSIDE_MAP, 1), (*NOWHERE, 0), (*INSIDE_SAM, 0)])
def test_a_click_that_agrees_with_the_map_changes_nothing(click):
    torch.testing.assert_close(mixed(clicks(click)), 0.5 * SAM + 0.5 * MAP)


@pytest.mark.parametrize(("click", "region"), [((*INSIDE_SAM, 1), SAM > 0), ((*INSIDE_MAP, 0), MAP > 0)])
def test_where_a_click_contradicts_the_map_sam_alone_decides_in_the_whole_region(click, region):
    found = mixed(clicks(click))
    assert torch.equal(found[region], SAM[region])
    torch.testing.assert_close(found[~region], (0.5 * SAM + 0.5 * MAP)[~region])


def test_every_click_counts_and_padding_does_not():
    both = mixed(clicks((*INSIDE_SAM, 1), (*INSIDE_MAP, 0), (*NOWHERE, 0)))
    disputed = (SAM > 0) | (MAP > 0)
    assert torch.equal(both[disputed], SAM[disputed])
    padded = mixed(clicks((*INSIDE_SAM, -10), (*INSIDE_MAP, -1)))
    torch.testing.assert_close(padded, 0.5 * SAM + 0.5 * MAP)


def test_a_click_where_sam_agrees_with_the_map_changes_nothing():
    torch.testing.assert_close(mixed(clicks((*NOWHERE, 1))), 0.5 * SAM + 0.5 * MAP)


def test_sets_images_and_candidates_are_apart():
    sam = torch.stack([torch.stack([SAM, square(12, 2)]), torch.stack([SAM, SAM])])  # (sets, candidates)
    both = torch.stack([sam, sam])
    first, second = clicks((*INSIDE_SAM, 1)), clicks((*NOWHERE, 0))
    points = torch.cat([first.points_xy_model, second.points_xy_model], 1).expand(2, -1, -1, -1)
    labels = torch.cat([first.point_labels, second.point_labels], 1).expand(2, -1, -1)
    maps = torch.stack([MAP, SAM])
    found = with_map_where_clicks_agree(both, maps, Prompts(points_xy_model=points, point_labels=labels), 0.5, SIDE)
    assert found.shape == both.shape
    plain = 0.5 * both + 0.5 * maps[:, None, None]
    kept = SAM > 0
    assert torch.equal(found[0, 0, 0][kept], SAM[kept])  # contradicted, and SAM says so
    torch.testing.assert_close(found[0, 0, 1], plain[0, 0, 1])  # this candidate agrees with the map at the click
    torch.testing.assert_close(found[0, 1], plain[0, 1])  # the other set has another click
    torch.testing.assert_close(found[1], plain[1])  # the map of the other image agrees


def test_the_finer_of_both_decides_the_size():
    fine = torch.nn.functional.interpolate(MAP[None, None], size=(64, 64), mode="bilinear")[0]
    found = with_map_where_clicks_agree(SAM[None, None, None], fine, clicks((*INSIDE_MAP, 0)), 0.5, SIDE)
    assert found.shape == (1, 1, 1, 64, 64)
    assert found[0, 0, 0, 46, 46] < 0
    small = with_map_where_clicks_agree(SAM[None, None, None], MAP[None, ::2, ::2], clicks((*NOWHERE, 0)), 0.5, SIDE)
    assert small.shape == (1, 1, 1, 32, 32)
