"""A model that finds by itself what a test says, and when it is asked with a box, whatever is there."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import torch

from promise_seg.images.geometry import Geometry
from promise_seg.sam.backbone import Decoded
from promise_seg.sam.features import EMBEDDING, Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskChoice
from promise_seg.volumes.collecting import CollectedSlices
from promise_seg.volumes.stack import Stack

SIDE = 16


class StandIn:
    """Features hold two maps (1, 2, S, S): what the model finds by itself, and what is there."""

    device = torch.device("cpu")
    sam = SimpleNamespace(mask_side=SIDE)

    def __init__(self) -> None:
        self.asked: list[Prompts] = []

    def propose(self, features: Features) -> Prompts:
        return Prompts()

    def answer_to(self, prompts: Prompts) -> SimpleNamespace:
        return SimpleNamespace(mask_choice=MaskChoice.FIRST)

    def decode(self, features: Features, prompts: Prompts, *, apart: bool = False) -> Decoded:
        own, there = features.embedding[0]
        if prompts.boxes_xyxy_model is None:
            return Decoded(own[None, None, None], torch.ones(1, 1, 1))
        self.asked.append(prompts)
        found = []
        for left, top, right, bottom in prompts.boxes_xyxy_model[0].round().int().tolist():
            inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
            inside[max(0, top - 1) : bottom + 2, max(0, left - 1) : right + 2] = True
            found.append(torch.where(inside & (there > 0), 6.0, -6.0))
        return Decoded(torch.stack(found)[None, :, None], torch.ones(1, len(found), 1))


def collected_from(
    own: np.ndarray, there: np.ndarray, stack: Stack | None = None, model: StandIn | None = None
) -> CollectedSlices:
    """The slices (D, S, S) of a volume: what is found by itself, and what is there, both bool."""
    stack = stack or Stack(tuple(range(len(own))), (2.0, 1.0, 1.0))
    collected = CollectedSlices(model or StandIn(), stack, keeps_features=True)
    for found, right in zip(own, there, strict=True):
        maps = np.where(np.stack([found, right]), 6.0, -6.0).astype(np.float32)
        collected.add(Features({EMBEDDING: torch.from_numpy(maps)[None]}), Geometry(SIDE, SIDE, SIDE))
    return collected


def bar(slices: Sequence[int], count: int = 7) -> np.ndarray:
    """A square rod (D, S, S) through some slices."""
    mask = np.zeros((count, SIDE, SIDE), bool)
    mask[list(slices), 5:11, 4:10] = True
    return mask
