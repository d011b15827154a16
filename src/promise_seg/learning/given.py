"""Simulated user prompts that a shift learns from: clicks, inexact boxes, and both together."""

from typing import NamedTuple

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float32Array
from promise_seg.prompting.oracle import oracle_box
from promise_seg.sam.prompts import BACKGROUND, FOREGROUND, Prompts

_CLICKS = (1, 1, 2, 4, 8, 16, 16)
_CLICKS_IN_A_BOX = (1, 2, 4)
_SHARE_OF_BOXES_ALONE = 0.6
_MISS = 0.05  # standard deviation of the error of a side of a box, as a share of the box
_WORST_MISS = 0.15


class GivenForm(NamedTuple):
    """The form of given prompts: the number of points, half of them background, and whether there is a box."""

    points: int
    has_box: bool


def draw_forms(rng: np.random.Generator, most: int) -> tuple[GivenForm, GivenForm]:
    """Draw the forms in which two people prompt: one with clicks alone, the other with a box and perhaps clicks.

    Args:
        rng: the source of randomness.
        most: the maximum number of clicks.
    """
    clicks = GivenForm(min(int(rng.choice(_CLICKS)), most), False)
    if rng.random() < _SHARE_OF_BOXES_ALONE:
        return clicks, GivenForm(0, True)
    return clicks, GivenForm(min(int(rng.choice(_CLICKS_IN_A_BOX)), most), True)


def drawn_box(mask: BoolArray, rng: np.random.Generator) -> Float32Array:
    """Return the box around a mask (S, S) with the small errors of a person; a random box if the mask is empty.

    Shape: (4,) float32, indices of first and last pixels in the frame of the mask.
    """
    side = len(mask)
    if not mask.any():
        centre, size = rng.uniform(0.2, 0.8, 2) * side, rng.uniform(0.1, 0.4, 2) * side
        return np.concatenate([centre - size / 2, centre + size / 2]).clip(0, side - 1).astype(np.float32)
    box = oracle_box(mask)
    size = np.tile(box[2:] - box[:2] + 1, 2)
    moved = box + size * rng.normal(0, _MISS, 4).clip(-_WORST_MISS, _WORST_MISS)
    first, last = np.minimum(moved[:2], moved[2:]), np.maximum(moved[:2], moved[2:])
    return np.concatenate([first, np.maximum(last, first + 1)]).clip(0, side - 1).astype(np.float32)


def prompts_of_form(
    points_xy_model: torch.Tensor, labels: torch.Tensor, boxes: torch.Tensor, form: GivenForm
) -> Prompts:
    """Select the prompts of a form from those that were drawn for each image.

    Shape: points (B, 1, N, 2) with labels (B, 1, N), foreground first; boxes (B, 1, 4).
    """
    box = boxes if form.has_box else None
    if not form.points:
        return Prompts(boxes_xyxy_model=box)
    taken = [_some(one[0], form.points) for one in labels]
    index = torch.stack(taken)[:, None].to(points_xy_model.device)
    return Prompts(
        points_xy_model=points_xy_model.gather(2, index[..., None].expand(-1, -1, -1, 2)),
        point_labels=labels.gather(2, index),
        boxes_xyxy_model=box,
    )


def _some(labels: torch.Tensor, count: int) -> torch.Tensor:
    """Return the indices of ``count`` points: half of them, rounded up, foreground, as far as available."""
    kinds = [torch.nonzero(labels == label)[:, 0] for label in (FOREGROUND, BACKGROUND)]
    wanted = min(-(-count // 2), len(kinds[0]))
    wanted = max(wanted, count - len(kinds[1]))
    return torch.cat([kinds[0][:wanted], kinds[1][: count - wanted]])
