"""A model that separates objects: the page shows each of them, and SAM's masks for one when they are asked for."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from promise_seg.prompting.apm import Proposal
from tests.annotator.browser.conftest import proposing
from tests.instances.drawn import SURE, depth_of, discs

pytestmark = pytest.mark.slow

DISCS = discs((8, 8, 4), (24, 8, 5), (15, 24, 6))


@pytest.fixture(scope="module")
def proposing_model():
    """A model whose maps show three objects in every image."""
    model = proposing(1)
    saliency = torch.from_numpy(np.where(DISCS > 0, SURE, -SURE).astype(np.float32))[None]
    depth = torch.from_numpy(depth_of(DISCS)).clamp(1e-4, 1 - 1e-4)[None]
    model.model.apm.separates = True
    model.model.apm.forward = lambda features: Proposal(
        points_xy_model=torch.zeros(1, 1, 1, 2),
        point_labels=torch.ones(1, 1, 1, dtype=torch.long),
        saliency_logits=saliency,
        distance_logits=depth.logit(),
    )
    return model


def test_each_object_is_listed_and_the_key_for_masks_asks_sam(annotator):
    page = annotator.page
    expect(annotator.objects()).to_have_count(3)
    areas = [one["mask"]["box"][2:] for one in annotator.served()["list"]]
    assert len(areas) == 3
    assert max(width for width, _ in areas) < 96 / 2, "no mask has more than one object"
    expect(page.locator("#candidates-section")).to_be_hidden()
    annotator.act(annotator.press, "c")
    expect(page.locator("#candidates-section")).to_be_visible()
    expect(page.locator("#candidates input")).to_have_count(3)
    assert annotator.served()["list"][0]["candidate"] == 0
    annotator.act(annotator.press, "c")
    assert annotator.served()["list"][0]["candidate"] == 1
