"""Prompts whose numbers are not fixed get the masks that they get otherwise, from every kind of SAM."""

import pytest
import torch

from promise_seg.sam.features import Features
from promise_seg.sam.kinds import freeze
from promise_seg.sam.open_prompts import OpenPrompts
from promise_seg.sam.prompts import Prompts
from tests.helpers import make_tiny_sam
from tests.sam.tiny import TINY

KINDS = ("sam", *TINY)
COUNTS = [(1, 1, 0), (1, 0, 1), (3, 2, 1), (2, 16, 0), (4, 0, 1), (1, 0, 0)]


@pytest.fixture(scope="module", params=KINDS)
def sam(request):
    return make_tiny_sam() if request.param == "sam" else freeze(TINY[request.param](0), request.param)


@pytest.fixture(scope="module")
def features(sam) -> Features:
    generator = torch.Generator().manual_seed(0)
    return sam.encode(torch.randint(0, 256, (1, sam.image_size, sam.image_size, 3), generator=generator))


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize(("sets", "points", "boxes"), COUNTS)
def test_masks_are_those_of_the_usual_way(sam, features, sets, points, boxes, has_mask):
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape):
        return torch.rand(shape, generator=generator)

    corners = drawn(sets, boxes, 4).cumsum(-1) * sam.image_size / 5
    labels = torch.arange(points).remainder(2).expand(sets, -1)
    some = {"points_xy_model": drawn(sets, points, 2) * sam.image_size, "point_labels": labels}
    masks = 80 * drawn(sets, sam.mask_side, sam.mask_side) - 40
    shift = drawn(1, sam.num_mask_tokens, sam.embedding_channels)
    usual = Prompts(
        **{name: value[None] for name, value in some.items() if points},
        boxes_xyxy_model=corners[None, :, 0] if boxes else None,
        mask_logits=masks[None] if has_mask else None,
    )
    opened = OpenPrompts(**some, boxes_xyxy_model=corners, mask_logits=masks, has_mask=torch.tensor([has_mask]))
    wanted = sam.decode(features, usual, shift)
    found = sam.decode_open(features, opened, shift)
    for name in ("mask_logits", "iou", "tokens", "object_logits"):
        of_sets = getattr(found, name)
        assert (of_sets is None) == (getattr(wanted, name) is None)
        if of_sets is not None:
            torch.testing.assert_close(of_sets[:, 0], getattr(wanted, name)[0], rtol=1e-3, atol=1e-3)
