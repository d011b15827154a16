"""The map of the auto-prompter has a share in masks, within the limits that a person's prompts set."""

import pytest
import torch

from promise_seg.prompting.apm import NOT_ASKED_FOR, Proposal
from promise_seg.prompting.map_in_masks import with_map, with_map_as_asked
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


def box(left: int, top: int, right: int, bottom: int) -> Prompts:
    """A box over cells of 2 pixels, the last ones included."""
    corners = [2.0 * left, 2.0 * top, 2.0 * right + 1, 2.0 * bottom + 1]
    return Prompts(boxes_xyxy_model=torch.tensor([[corners]]))


def mixed(prompts: Prompts, sam: torch.Tensor, saliency: torch.Tensor, share: float = 0.5) -> torch.Tensor:
    return with_map_as_asked(sam[None, None, None], saliency[None], prompts, share, SIDE)[0, 0, 0]


NEAR, FAR = square(6, 6), square(20, 20)  # the first overlaps SAM's mask, the other does not
SAM = square(2, 2)
ONLY_SAM, ONLY_NEAR, BOTH, IN_FAR, NOWHERE = (3, 3), (12, 12), (8, 8), (23, 23), (12, 28)
WIDE = box(0, 0, 31, 31)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_where_prompts_set_no_limit_the_map_has_its_share(share):
    found = mixed(clicks((*BOTH, 1)), SAM, NEAR, share)
    asked = NEAR > 0
    torch.testing.assert_close(found[asked], ((1 - share) * SAM + share * NEAR)[asked])
    torch.testing.assert_close(found, torch.minimum((1 - share) * SAM + share * NEAR, torch.where(asked, 9.0, SAM)))


def test_parts_that_nobody_asked_for_are_not_added():
    both = torch.maximum(NEAR, FAR)
    found = mixed(WIDE, SAM, both, 0.9)
    assert bool((found[NEAR > 0] > 0).all())
    assert bool((found[FAR > 0] < 0).all())
    asked = mixed(clicks((*IN_FAR, 1)), SAM, both, 0.9)
    assert bool((asked[FAR > 0] > 0).all())


def test_nothing_is_added_outside_of_a_box():
    found = mixed(box(0, 0, 9, 9), SAM, NEAR, 0.9)
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[:10, :10] = True
    assert bool((found[(NEAR > 0) & inside] > 0).all())
    assert bool((found[(NEAR > 0) & ~inside] < 0).all())


@pytest.mark.parametrize("click", [(*BOTH, 1), (*NOWHERE, 0), (*ONLY_SAM, 0)])
def test_a_click_that_agrees_with_the_map_changes_nothing(click):
    assert torch.equal(mixed(clicks(click), SAM, NEAR), mixed(WIDE, SAM, NEAR))


@pytest.mark.parametrize(
    ("click", "region"), [((*ONLY_SAM, 1), (SAM > 0) & (NEAR <= 0)), ((*ONLY_NEAR, 0), (NEAR > 0) & (SAM <= 0))]
)
def test_where_a_click_contradicts_the_map_sam_s_mask_is_kept_in_the_whole_region(click, region):
    found = mixed(clicks(click), SAM, NEAR)
    assert torch.equal(found[region], SAM[region])
    assert torch.equal(found[~region], mixed(WIDE, SAM, NEAR)[~region])


def test_one_click_does_not_take_back_what_another_asked_for():
    found = mixed(clicks((*ONLY_NEAR, 1), (*ONLY_SAM, 1)), SAM, NEAR, 0.6)  # in regions that touch
    assert found[ONLY_NEAR[1], ONLY_NEAR[0]] > 0
    assert found[ONLY_SAM[1], ONLY_SAM[0]] > 0


def test_padding_is_no_click():
    padded = mixed(clicks((*ONLY_SAM, -10), (*ONLY_NEAR, -1)), SAM, NEAR)
    assert torch.equal(padded, mixed(WIDE, SAM, NEAR))


def test_sets_images_and_candidates_are_apart():
    candidates = torch.stack([SAM, NEAR])
    both = torch.stack([torch.stack([candidates, candidates])] * 2)  # (images, sets, candidates)
    given = [clicks((*ONLY_SAM, 1)), clicks((*NOWHERE, 0))]
    prompts = Prompts(
        points_xy_model=torch.cat([one.points_xy_model for one in given], 1).expand(2, -1, -1, -1),
        point_labels=torch.cat([one.point_labels for one in given], 1).expand(2, -1, -1),
    )
    maps = torch.stack([NEAR, FAR])
    found = with_map_as_asked(both, maps, prompts, 0.5, SIDE)
    for image, number, which in ((i, k, m) for i in range(2) for k in range(2) for m in range(2)):
        alone = mixed(given[number], candidates[which], maps[image])
        assert torch.equal(found[image, number, which], alone)
    assert not torch.equal(found[0, 0, 0], found[0, 1, 0])
    assert not torch.equal(found[0, 0, 0], found[0, 0, 1])
    assert not torch.equal(found[0, 0, 0], found[1, 0, 0])


def test_the_finer_of_both_decides_the_size():
    fine = torch.nn.functional.interpolate(NEAR[None, None], size=(64, 64), mode="bilinear")[0]
    found = with_map_as_asked(SAM[None, None, None], fine, clicks((*ONLY_NEAR, 0)), 0.5, SIDE)
    assert found.shape == (1, 1, 1, 64, 64)
    assert found[0, 0, 0, 24, 24] < 0
    small = with_map_as_asked(SAM[None, None, None], NEAR[None, ::2, ::2], clicks((*NOWHERE, 0)), 0.5, SIDE)
    assert small.shape == (1, 1, 1, 32, 32)


def test_an_object_that_the_map_does_not_see_is_as_sam_has_it():
    for prompts in (box(0, 0, 12, 12), clicks((*ONLY_SAM, 1)), clicks((*NOWHERE, 0))):
        assert torch.equal(mixed(prompts, SAM, FAR - 9), SAM)
        assert torch.equal(mixed(prompts, SAM, FAR), SAM)


@pytest.mark.parametrize("side_of_map", [16, 32])
@pytest.mark.parametrize("boxes", [None, torch.tensor([[[5.0, 9, 30, 60]], [[20.0, 0, 63, 30]]])])
@pytest.mark.parametrize("seed", range(4))
def test_a_click_that_sam_follows_is_followed_with_any_map(seed, boxes, side_of_map):
    torch.manual_seed(seed)
    smooth = torch.nn.AvgPool2d(5, 1, 2, count_include_pad=False)
    sam, saliency = smooth(torch.randn(2, 3, 32, 32)), 9 * smooth(torch.randn(2, side_of_map, side_of_map))
    cells, labels = torch.randint(0, 32, (2, 1, 12, 2)), torch.randint(0, 2, (2, 1, 12))
    prompts = Prompts(points_xy_model=2.0 * cells + 0.5, point_labels=labels, boxes_xyxy_model=boxes)
    found = with_map_as_asked(sam[:, None], saliency, prompts, 0.5, SIDE)
    columns, rows = cells[:, 0, :, 0], cells[:, 0, :, 1]
    for image in range(2):
        follows = (sam[image, :, rows[image], columns[image]] > 0) == labels[image]
        assert follows.any()
        still = (found[image, 0, :, rows[image], columns[image]] > 0) == labels[image]
        assert bool(still[follows].all())


def proposal_of(saliency: torch.Tensor, regions: torch.Tensor, count: int) -> Proposal:
    """A proposal of ``count`` objects with drawn maps (r, r)."""
    return Proposal(
        points_xy_model=torch.zeros(1, count, 1, 2),
        point_labels=torch.ones(1, count, 1, dtype=torch.long),
        saliency_logits=saliency[None],
        regions=regions[None],
        numbers=torch.arange(1, count + 1)[None],
    )


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_masks_of_separate_objects_have_the_saliency_of_their_own_object_alone(share):
    saliency, sam = torch.maximum(NEAR, FAR), torch.stack([NEAR, FAR])[None, :, None]
    proposal = proposal_of(saliency, (NEAR > 0).long() + 2 * (FAR > 0).long(), 2)
    apart = with_map(sam, proposal, share, apart=True)[0, :, 0]
    assert torch.equal(apart[0] > 0, NEAR > 0)
    assert torch.equal(apart[1] > 0, FAR > 0)
    torch.testing.assert_close(apart[0][NEAR > 0], NEAR[NEAR > 0])
    joined = with_map(sam, proposal, share)[0, :, 0].amax(0)
    assert torch.equal(joined > 0, saliency > 0)


def test_masks_of_separate_objects_are_free_of_objects_that_sam_was_not_asked_for():
    proposal = proposal_of(torch.maximum(NEAR, FAR), (NEAR > 0).long() + NOT_ASKED_FOR * (FAR > 0).long(), 1)
    sam = NEAR[None, None, None]
    assert torch.equal(with_map(sam, proposal, 1.0, apart=True)[0, 0, 0] > 0, NEAR > 0)
    assert torch.equal(with_map(sam, proposal, 1.0)[0, 0, 0] > 0, torch.maximum(NEAR, FAR) > 0)


def test_a_faint_edge_goes_to_the_nearest_object():
    """A threshold that was tuned below one half takes cells that are in no region."""
    faint = torch.where(square(5, 5, 10) > 0, -0.2, -4.0)  # a ring of one cell around the first object
    saliency = torch.maximum(torch.maximum(NEAR, FAR), faint)
    proposal = proposal_of(saliency, (NEAR > 0).long() + 2 * (FAR > 0).long(), 2)
    apart = with_map(torch.stack([NEAR, FAR])[None, :, None], proposal, 1.0, apart=True)[0, :, 0]
    assert torch.equal(apart[0] > -1, square(5, 5, 10) > 0)
    assert torch.equal(apart[1] > -1, FAR > 0)
