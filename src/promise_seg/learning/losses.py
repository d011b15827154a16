"""Loss functions. All take logits: nothing here expects a sigmoid to have been applied."""

import cv2
import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from promise_seg.arrays import BoolArray, Float32Array, LabelArray
from promise_seg.images.geometry import shrink_mask

_EDGE = 0.1  # a cell is near an outline if the foreground shares around it differ by more than this


def mask_loss(mask_logits: Tensor, target: Tensor, bce_weight: float = 1.0) -> Tensor:
    """Return the binary cross-entropy plus soft Dice loss of each mask.

    Shape: ``mask_logits`` and ``target`` (..., H, W), the target in [0, 1]; returns (...).
    Source: ProMISe, section "Training"; there the sigmoid was applied twice, here once.
    """
    target = target.expand_as(mask_logits)
    bce = F.binary_cross_entropy_with_logits(mask_logits, target, reduction="none").mean((-2, -1))
    probs = mask_logits.sigmoid()
    overlap = (probs * target).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (probs.sum((-2, -1)) + target.sum((-2, -1)) + 1)
    return bce_weight * bce + dice


def map_loss(map_logits: Tensor, target: Tensor, edge_weight: float = 0.0) -> Tensor:
    """Return the binary cross-entropy plus soft Dice loss of a coarse map, with weighted outlines.

    Cells near an outline have the weight ``1 + edge_weight`` in the cross-entropy.

    Shape: ``map_logits`` and ``target`` (B, g, g); returns a scalar.
    """
    bce = F.binary_cross_entropy_with_logits(map_logits, target, reduction="none")
    if edge_weight:
        spread = F.max_pool2d(target[:, None], 5, 1, 2) + F.max_pool2d(-target[:, None], 5, 1, 2)
        bce = bce * (1 + edge_weight * (spread[:, 0] > _EDGE))
    return bce.mean() + mask_loss(map_logits, target, bce_weight=0.0).mean()


@torch.no_grad()
def mask_iou(mask_logits: Tensor, target: Tensor) -> Tensor:
    """Return the IoU of thresholded masks, or 1 where both are empty. Shape: (..., H, W) to (...)."""
    predicted, true = mask_logits > 0, target.expand_as(mask_logits) > 0.5
    union = (predicted | true).sum((-2, -1)).float()
    return torch.where(union > 0, (predicted & true).sum((-2, -1)) / union.clamp(min=1), torch.ones_like(union))


def token_affinity_loss(tokens: Tensor, instances: Tensor) -> Tensor:
    """Return the loss that makes tokens of the same object similar and others dissimilar, over all pairs in an image.

    Pairs of the same object and other pairs have equal total weight, however many there are of each. A nano SAM
    hardly starts to learn without this loss.

    Shape: ``tokens`` (B, T, D), any scale; ``instances`` (B, T) integer labels; returns a scalar.
    """
    tokens = F.normalize(tokens, dim=-1)
    logits = 8 * tokens @ tokens.transpose(1, 2) - 2
    same = (instances[:, :, None] == instances[:, None, :]).float()
    share = same.mean((1, 2), keepdim=True)
    weight = torch.where(same > 0, 0.5 / share, 0.5 / (1 - share + 1e-3))
    return (weight * F.binary_cross_entropy_with_logits(logits, same, reduction="none")).mean()


def point_loss(points_xy_model: Tensor, point_labels: Tensor, signed_distance: Tensor, side: int) -> Tensor:
    """Return how far points are on the wrong side of the true outline: a direct gradient for their positions.

    A foreground point costs nothing once it is ``margin`` inside, a background point once it is ``margin`` outside.

    Shape: ``points_xy_model`` (B, N, 2) in the model frame of ``side`` pixels; ``point_labels`` (B, N);
        ``signed_distance`` (B, h, h), see :func:`signed_distances`; returns a scalar.
    """
    margin = 0.02
    grid = ((points_xy_model + 0.5) * (2 / side) - 1).nan_to_num()  # NaN after divergence would crash the gradient
    distance = F.grid_sample(
        signed_distance[:, None], grid[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )[:, 0, 0]
    wanted_sign = point_labels * 2 - 1
    return F.relu(margin - wanted_sign * distance).mean()


def signed_distances(mask: BoolArray) -> Float32Array:
    """Return distances to the outline as shares of the side, positive inside: (h, h) bool to (h, h) float32.

    Every pixel of an empty mask is -1 and every pixel of a full mask is 1, as there is no outline.
    """
    side = mask.shape[0]
    if not mask.any() or mask.all():
        return np.full(mask.shape, 1.0 if mask.all() else -1.0, np.float32)
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    return ((inside - outside) / side).astype(np.float32)


def depths_of_instances(labels: LabelArray) -> Float32Array:
    """Return the depth of each pixel inside its object; objects may touch: (h, h) labels to (h, h) float32.

    It is 0 outside, and 1 at the deepest pixel of each object, even if the object has several components.
    """
    found = np.zeros(labels.shape, np.float32)
    for number, window in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1):
        if window is not None:
            inside = labels[window] == number
            depth = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
            found[window] += np.where(inside, depth / max(float(depth.max()), 1e-6), 0)
    return found


@torch.no_grad()
def targets_of_instances(regions: Tensor, numbers: Tensor, instances: Tensor, side: int) -> Tensor:
    """Return the target of each set of an APM's prompts: the whole true object that most of its region lies on.

    Shape: ``regions`` (B, r, r) and ``numbers`` (B, K), see :class:`~promise_seg.prompting.apm.Proposal`;
        ``instances`` (B, S, S), 0 where there is no object; returns (B, K, side, side).
    """
    size = instances.shape[-2:]
    wide = F.interpolate(regions[:, None].float(), size=size, mode="nearest")[:, 0].long()
    wanted = []
    for region, of_sets, truth in zip(wide, numbers.tolist(), instances.long(), strict=True):
        for number in of_sets:
            votes = truth[region == number].bincount()
            votes[:1] = 0
            wanted.append(truth == votes.argmax() if int(votes.sum()) else torch.zeros_like(truth, dtype=torch.bool))
    found = shrink_mask(torch.stack(wanted), side)
    return found.unflatten(0, tuple(numbers.shape))


@torch.no_grad()
def targets_of_sets(regions: Tensor, numbers: Tensor, target: Tensor) -> Tensor:
    """Return the target of each set of an APM's prompts: all true objects that its region touches, as a whole.

    Shape: ``regions`` (B, r, r) and ``numbers`` (B, K), see :class:`~promise_seg.prompting.apm.Proposal`; ``target``
        (B, h, h) in [0, 1]; returns (B, K, h, h).
    """
    side, fine_side = target.shape[-1], regions.shape[-1]
    coarse = F.interpolate(regions[:, None].float(), size=(side, side), mode="nearest")[:, 0].long().cpu().numpy()
    places = np.arange(fine_side) * side // fine_side  # of the cells of a region in the target
    found = []
    for number_of_image, (region, truth) in enumerate(zip(coarse, target.cpu().numpy(), strict=True)):
        _, parts = cv2.connectedComponents((truth >= 0.5).astype(np.uint8), connectivity=8)
        for number in numbers[number_of_image].tolist():
            cells = parts[region == number]
            if not cells.size:  # the region is so small that none of its cells is left in the coarser grid
                cells = parts[np.ix_(places, places)][(regions[number_of_image] == number).cpu().numpy()]
            touched = np.setdiff1d(cells, [0])
            found.append(np.where(np.isin(parts, touched), truth, 0))
    stacked = torch.from_numpy(np.stack(found)).to(target)
    return stacked.unflatten(0, tuple(numbers.shape))
