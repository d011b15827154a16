"""Propose a box and a point for each object of an image, from the maps of the APM."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import Float32Array, IntArray
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.geometry import Geometry
from promise_seg.images.masks import LARGEST_LABEL
from promise_seg.model import PromiseModel, presence_of
from promise_seg.prompting.apm import Proposal
from promise_seg.prompting.map_decoders import resized
from promise_seg.prompting.separating import depths, prompts_in_frame, separate
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import FOREGROUND


class ObjectProposals(NamedTuple):
    """The proposed objects of one image: their prompts, and the maps that they were found in.

    Shape: ``boxes_xyxy_model`` (K, 4) and ``points_xy_model`` (K, 2) in the model frame; ``regions`` (r, r) over the
        whole model frame, with the numbers of the objects from 1, 0 elsewhere; ``saliency_logits`` (r, r).
    """

    boxes_xyxy_model: Float32Array
    points_xy_model: Float32Array
    regions: IntArray
    saliency_logits: Float32Array

    def prompts(self, start: int, end: int) -> Proposal:
        """Return the prompts of the objects from ``start`` to before ``end``: one box and one point per object."""
        points = torch.from_numpy(self.points_xy_model[start:end])[None, :, None]
        return Proposal(
            points_xy_model=points,
            point_labels=torch.full(points.shape[:3], FOREGROUND),
            boxes_xyxy_model=torch.from_numpy(self.boxes_xyxy_model[start:end])[None],
        )


@torch.no_grad()
def propose_objects(
    model: PromiseModel,
    features: Features,
    rule: InstanceRule,
    geometry: Geometry,
    own: Proposal | None = None,
    name: str = "the image",
) -> ObjectProposals:
    """Propose the objects of one image; none in the padding, and none if the model judges the image to be empty.

    Args:
        model: model with an APM that makes a saliency map.
        features: features of one image, with the APM's outputs.
        rule: how objects are separated, with the prominence of their peaks.
        geometry: geometry of the image.
        own: what the model proposes for these features, if it is known already.
        name: name of the image in messages.

    Raises:
        ImageError: if there are more objects than an instance map can number.
        SettingsError: if the APM makes no map.
    """
    maps = _maps(model, features, own)
    certain = np.zeros(maps.saliency_logits.shape, bool)
    if not maps.is_absent:
        content = _cells_of(geometry, len(certain))
        certain[content] = maps.saliency_logits[content] > model.config.postprocessing.threshold_logit
    distance = depths(certain) if maps.distance is None else maps.distance
    found = separate(certain, distance, rule.prominence)
    cell = model.sam.image_size / len(certain)
    boxes, points = prompts_in_frame(found.boxes, np.stack([found.columns, found.rows], 1), cell)
    if len(boxes) > LARGEST_LABEL:
        raise ImageError(
            f"{name}: has {len(boxes):,} objects; expected at most {LARGEST_LABEL:,}, which is all that a map of 16 "
            "bits can number. Divide the image into parts, and predict each as a file of its own"
        )
    return ObjectProposals(boxes, points, found.regions, maps.saliency_logits)


def _cells_of(geometry: Geometry, cells: int) -> tuple[slice, slice]:
    """Return the rows and columns of maps (cells, cells) whose centres are inside the image."""
    box, scale = geometry.content, cells / geometry.side
    first_row, end_row, first_column, end_column = (
        round(edge * scale) for edge in (box.top, box.bottom, box.left, box.right)
    )
    return slice(first_row, max(end_row, first_row + 1)), slice(first_column, max(end_column, first_column + 1))


class _Maps(NamedTuple):
    saliency_logits: Float32Array
    distance: Float32Array | None
    is_absent: bool


def _maps(model: PromiseModel, features: Features, own: Proposal | None) -> _Maps:
    check_makes_map(model)
    proposal = own or model.propose(features)
    if proposal.saliency_logits is None:
        raise ValueError("an APM that makes a map has proposed without it")
    side = min(model.sam.image_size, (None if model.apm is None else model.apm.image_side) or model.sam.image_size)
    saliency = _wide(proposal.saliency_logits, side)
    distance = None if proposal.distance_logits is None else _sigmoid(_wide(proposal.distance_logits, side))
    return _Maps(saliency, distance, _is_absent(model, features, proposal))


def _is_absent(model: PromiseModel, features: Features, proposal: Proposal) -> bool:
    """Whether the model judges that there is nothing to segment in the image."""
    threshold = None if model.always_segments else model.config.presence_threshold
    if threshold is None:
        return False
    presence_logits = proposal.presence_logits
    if presence_logits is None:  # run SAM's decoder to get its object score
        presence_logits = presence_of(proposal, model.sam_masks(features, proposal))
    return presence_logits is not None and bool(presence_logits[0].sigmoid() < threshold)


def check_makes_map(model: PromiseModel) -> None:
    """Check that a model's APM makes a saliency map, which is needed to separate objects.

    Raises:
        SettingsError: if the model has no APM, or its APM makes no map.
    """
    if model.apm is None or not model.apm.makes_map:
        kind = f"the APM {model.config.apm.kind}" if model.config.apm is not None else f"variant {model.config.variant}"
        raise SettingsError(
            f"separate objects need a map of where they are, which {kind} does not make. Use a model that was trained "
            "with --apm pretrained, as is usual, and with --instances"
        )


def _wide(logits: Tensor, side: int) -> Float32Array:
    """Resize the only map of a batch (1, g, g) to (r, r), with r the larger of ``side`` and g."""
    wide = resized(logits.float()[:, None], max(side, logits.shape[-1]))[0, 0]
    return wide.cpu().numpy()


def _sigmoid(logits: Float32Array) -> Float32Array:
    return torch.from_numpy(logits).sigmoid().numpy()
