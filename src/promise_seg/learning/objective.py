"""The objective of training: all parts of the loss of a step."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from promise_seg.learning.losses import (
    map_loss,
    mask_iou,
    mask_loss,
    point_loss,
    targets_of_instances,
    targets_of_sets,
)
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training_set import TrainingBatch
from promise_seg.model import ModelOutput
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.decoded import Decoded
from promise_seg.vocabulary import Protocol

OF_MASKS = ("mask", "quality")
"""The parts of the loss that need masks of SAM's decoder."""
_POINT_SCALE = 10  # distances are shares of the side; this scales them to the magnitude of the other losses


def training_losses(output: ModelOutput, batch: TrainingBatch, settings: TrainSettings, side: int) -> dict[str, Tensor]:
    """Return the weighted parts of the loss; training minimises their sum.

    ``mask`` covers all three masks of SAM and all sets of prompts; ``point``, ``saliency``, ``distance`` and
    ``presence`` concern the APM; ``quality`` is the error of the learned IoU. With the reference protocol the loss is
    that of the first mask, and takes its probabilities for logits, as the reference does.
    """
    of_apm: dict[str, Tensor] = {}
    answers = []  # masks, with the target of each set of prompts
    if output.proposal is not None:
        of_apm = _apm_losses(output.proposal, batch, settings, side)
        if output.own is None:  # a step in which the APM learns from its maps alone
            return of_apm
        answers.append((output.own, _own_targets(output.proposal, batch)))
    answers += [(decoded, batch.oracle_target[:, None]) for decoded in output.given]
    losses = {"mask": settings.mask_weight * _mean_mask_loss(answers, settings)} | of_apm
    if settings.learns_quality:
        errors = [
            (decoded.learned_iou - mask_iou(decoded.mask_logits, target[:, :, None])).square().mean()
            for decoded, target in answers
            if decoded.learned_iou is not None
        ]
        losses["quality"] = settings.quality_weight * torch.stack(errors).mean()
    return losses


def _mean_mask_loss(answers: Sequence[tuple[Decoded, Tensor]], settings: TrainSettings) -> Tensor:
    """Return the mean loss of masks, given the masks for each kind of prompts and their targets (B, K, h, w).

    Without a shift, only the first masks count, which are those for the model's own prompts: given prompts then take
    part to learn the quality alone.
    """
    learned = answers if settings.has_ips else answers[:1]
    losses = [_of_masks(decoded.mask_logits.float(), target, settings.protocol) for decoded, target in learned]
    if len({loss.shape for loss in losses}) == 1:
        return torch.cat(losses, 1).mean()
    return torch.stack([loss.mean() for loss in losses]).mean()  # each kind counts once, whatever its number of sets


def _of_masks(mask_logits: Tensor, target: Tensor, protocol: Protocol) -> Tensor:
    """Return the loss of each mask: (B, K, M, h, w) and (B, K, h, w) to (B, K, M); the reference protocol has M = 1."""
    if protocol == Protocol.REFERENCE:
        mask_logits = mask_logits[:, :, :1].sigmoid()
    return mask_loss(mask_logits, target[:, :, None])


def _own_targets(proposal: Proposal, batch: TrainingBatch) -> Tensor:
    """Return the target of each set of an APM's prompts: (B, K, h, w)."""
    if proposal.regions is None or proposal.numbers is None:
        return batch.target[:, None]
    if batch.instances is not None:
        side = batch.target.shape[-1]
        return targets_of_instances(proposal.regions, proposal.numbers, batch.instances, side).to(batch.target)
    return targets_of_sets(proposal.regions, proposal.numbers, batch.target)


def _apm_losses(proposal: Proposal, batch: TrainingBatch, settings: TrainSettings, side: int) -> dict[str, Tensor]:
    """Return the weighted losses of the points and maps that an APM proposes, without those that have no weight."""
    losses = {}
    if settings.point_weight and proposal.regions is None and proposal.points_xy_model is not None:
        points_xy_model, labels = proposal.points_xy_model[:, 0].float(), proposal.point_labels
        if labels is not None:
            wrong_side = point_loss(points_xy_model, labels[:, 0], batch.signed_distance, side)
            losses["point"] = settings.point_weight * _POINT_SCALE * wrong_side
    if proposal.saliency_logits is not None and settings.saliency_weight:
        logits = proposal.saliency_logits.float()
        small, edge_weight = _shrunk(batch.map_target, logits), settings.edge_weight
        found = map_loss(logits, small, edge_weight) if edge_weight else mask_loss(logits, small).mean()
        losses["saliency"] = settings.saliency_weight * found
    if proposal.distance_logits is not None and settings.distance_weight:
        logits = proposal.distance_logits.float()
        found = F.binary_cross_entropy_with_logits(logits, _shrunk(batch.inner_distance, logits))
        losses["distance"] = settings.distance_weight * found
    if proposal.presence_logits is not None and settings.presence_weight:
        found = F.binary_cross_entropy_with_logits(proposal.presence_logits.float(), batch.presence)
        losses["presence"] = settings.presence_weight * found
    return losses


def _shrunk(target: Tensor, like: Tensor) -> Tensor:
    """Return a target (B, h, w) at the size of a map (B, g, g), as means over its cells."""
    return F.adaptive_avg_pool2d(target[:, None], like.shape[-1])[:, 0]
