"""Each part of the objective is small where the model is right, and large where it says the opposite."""

import numpy as np
import pytest
import torch

from promise_seg.learning.objective import training_losses
from promise_seg.learning.training_set import TrainingBatch
from promise_seg.model import ModelOutput
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.backbone import Decoded
from tests.helpers import first_settings

SIDE, MAP_SIDE = 32, 16
SURE = 10.0
"""The logit of what is certain."""


def wide(cells: torch.Tensor) -> torch.Tensor:
    """Maps of twice the side."""
    return cells.repeat_interleave(2, 1).repeat_interleave(2, 2)


@pytest.fixture
def truth() -> dict[str, torch.Tensor]:
    """What each map should say, in two images: another half of the frame each, so that none passes for another."""
    halves = {}
    for number, name in enumerate(("target", "saliency", "distance")):
        side = SIDE if name == "target" else MAP_SIDE
        cells = torch.zeros(2, side, side)
        cells[0, number : number + side // 2] = 1
        cells[1, :, number : number + side // 2] = 1
        halves[name] = cells
    return halves


@pytest.fixture
def batch(truth) -> TrainingBatch:
    """Two images, of which the second holds nothing as its presence has it; the maps are learned from finer ones."""
    return TrainingBatch(
        features={},
        target=truth["target"],
        signed_distance=torch.zeros(2, SIDE, SIDE),
        oracle_points_xy_model=torch.zeros(2, 1, 2, 2),
        oracle_labels=torch.tensor([[[1, 0]]] * 2),
        oracle_boxes=torch.zeros(2, 1, 4),
        oracle_target=truth["target"],
        inner_distance=wide(truth["distance"]),
        presence=torch.tensor([1.0, 0.0]),
        map_target=wide(truth["saliency"]),
    )


def logits(share: torch.Tensor) -> torch.Tensor:
    return (share * 2 - 1) * SURE


@pytest.mark.parametrize("edge_weight", [0, 2])
@pytest.mark.parametrize("wrong", ["saliency", "distance", "presence"])
def test_maps_and_presence_that_equal_the_truth_cost_little_and_their_complements_much(
    wrong, edge_weight, truth, batch
):
    settings = first_settings(edge_weight=edge_weight)

    def losses(**said):
        said = {"saliency": truth["saliency"], "distance": truth["distance"], "presence": batch.presence} | said
        proposal = Proposal(**{f"{name}_logits": logits(share) for name, share in said.items()})
        return training_losses(ModelOutput(None, (), proposal), batch, settings, SIDE)

    right = losses()
    assert set(right) == {"saliency", "distance", "presence"}
    assert max(right.values()) < 0.01
    found = losses(**{wrong: 1 - (batch.presence if wrong == "presence" else truth[wrong])})
    assert found.pop(wrong) > 4
    assert max(found.values()) < 0.01


def test_masks_and_learned_ious_that_are_right_cost_little_and_their_complements_much(truth, batch):
    """Three masks of one set of prompts for each image: that which was asked for, half of it, and one of no overlap."""
    settings = first_settings(learns_quality=True)
    half = truth["target"].clone()
    half[0, :, : SIDE // 2], half[1, : SIDE // 2] = 0, 0
    masks = logits(torch.stack([truth["target"], half, 1 - truth["target"]], 1))[:, None]
    iou = torch.tensor([1.0, 0.5, 0.0]).expand(2, 1, 3)

    def losses(masks, learned_iou):
        decoded = Decoded(masks, torch.zeros(2, 1, 3), learned_iou=learned_iou)
        return training_losses(ModelOutput(None, (decoded,), None), batch, settings, SIDE)

    assert set(losses(masks, iou)) == {"mask", "quality"}
    assert losses(masks, iou)["quality"] == pytest.approx(0, abs=1e-6)
    assert losses(masks, 1 - iou)["quality"] == pytest.approx(np.mean([1, 0, 1]))
    assert losses(masks[:, :, :1], iou[..., :1])["mask"] < 0.01
    assert losses(-masks[:, :, :1], iou[..., :1])["mask"] > 4
