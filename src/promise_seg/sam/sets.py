"""Decode sets of prompts that a decoder cannot take in one batch: sets of different sizes, or several with masks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from promise_seg.sam.decoded import Decoded
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import PADDING, PER_SET, Prompts

Decode = Callable[[Features, Prompts, Tensor | None], Decoded]
"""A function that decodes B images with K sets of prompts each, all of the same size."""


def are_padded(prompts: Prompts) -> bool:
    """Whether some sets of prompts have padded points.

    During export, values are not available and the result is false, so prompts must not be padded.
    """
    if prompts.point_labels is None or torch.compiler.is_compiling():
        return False
    return bool((prompts.point_labels == PADDING).any())


def decode_by_count(decode: Decode, features: Features, prompts: Prompts, token_shift: Tensor | None) -> Decoded:
    """Decode sets with the same number of points together, so padding is not needed.

    Padding would change the masks: a decoder gives a padded point a token of zeros, to which all other tokens attend.
    """
    points, labels = prompts.points_xy_model, prompts.point_labels
    if points is None or labels is None:
        return decode(features, prompts, token_shift)
    counts = (labels != PADDING).sum(-1)
    parts, places = [], []
    for count in counts.unique().tolist():
        image, number = (counts == count).nonzero(as_tuple=True)
        kept = labels[image, number] != PADDING
        size = (len(image), 1, count)
        chosen = {name: _picked(getattr(prompts, name), image, number) for name in ("boxes_xyxy_model", "mask_logits")}
        if count:
            chosen["points_xy_model"] = points[image, number][kept].view(*size, 2)
            chosen["point_labels"] = labels[image, number][kept].view(size)
        parts.append(_decode_at(decode, features, Prompts(**chosen), token_shift, image))
        places.append(image * counts.shape[1] + number)
    return _joined(parts, torch.cat(places), (len(counts), counts.shape[1]))


def decode_one_by_one(decode: Decode, features: Features, prompts: Prompts, token_shift: Tensor | None) -> Decoded:
    """Decode several sets with mask prompts per image; a decoder accepts one per image, so each is a batch entry."""
    size = (len(features), prompts.per_image)
    parts = {name: getattr(prompts, name) for name in PER_SET}
    flat = Prompts(**{name: None if part is None else part.flatten(0, 1)[:, None] for name, part in parts.items()})
    image = torch.arange(size[0], device=features.embedding.device).repeat_interleave(size[1])
    return _joined([_decode_at(decode, features, flat, token_shift, image)], None, size)


def _picked(part: Tensor | None, image: Tensor, number: Tensor) -> Tensor | None:
    return None if part is None else part[image.to(part.device), number.to(part.device)][:, None]


def _decode_at(
    decode: Decode, features: Features, prompts: Prompts, token_shift: Tensor | None, image: Tensor
) -> Decoded:
    """Decode prompts with one set per entry; ``image`` (n,) is the index of each entry's image, which may repeat."""

    def of_images(value: Tensor) -> Tensor:
        return value.index_select(0, image.to(value.device))

    shift = None if token_shift is None else of_images(token_shift)
    return decode(Features({name: of_images(value) for name, value in features.tensors.items()}), prompts, shift)


def _joined(parts: Sequence[Decoded], places: Tensor | None, size: tuple[int, int]) -> Decoded:
    """Join the masks of single sets (n, 1, ...) to (B, K, ...), sorted by ``places`` among the B times K sets."""

    def join(values: tuple[Tensor | None, ...]) -> Tensor | None:
        there = [value for value in values if value is not None]
        if not there:
            return None
        joined = torch.cat(there)
        if places is not None:
            joined = joined[places.argsort().to(joined.device)]
        return joined.squeeze(1).unflatten(0, size)

    return Decoded._make(join(values) for values in zip(*parts, strict=True))
