"""Sets of prompts that one pass of a decoder cannot take together: those of unlike sizes, and several with masks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from promise_seg.sam.decoded import Decoded
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import PADDING, PER_SET, Prompts

Decode = Callable[[Features, Prompts, Tensor | None], Decoded]
"""Decodes B images with K sets of prompts each, all of one size."""


def are_padded(prompts: Prompts) -> bool:
    """Whether some sets have fewer points than others, which padding hides.

    A graph that is being exported has no values to look at: its prompts must not be padded.
    """
    if prompts.point_labels is None or torch.compiler.is_compiling():
        return False
    return bool((prompts.point_labels == PADDING).any())


def decode_by_count(decode: Decode, features: Features, prompts: Prompts, token_shift: Tensor | None) -> Decoded:
    """Decode the sets with the same number of points together, so that no token stands for a point that is not there.

    A decoder gives a padded point a token of zeros, to which all other tokens attend as to any other.
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
    """Decode several mask prompts of an image: a decoder takes one each, so every set gets a batch entry."""
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
    """Decode prompts with one set for each of the images (n,), which may be named several times."""

    def of_images(value: Tensor) -> Tensor:
        return value.index_select(0, image.to(value.device))

    shift = None if token_shift is None else of_images(token_shift)
    return decode(Features({name: of_images(value) for name, value in features.tensors.items()}), prompts, shift)


def _joined(parts: Sequence[Decoded], places: Tensor | None, size: tuple[int, int]) -> Decoded:
    """Put masks of single sets (n, 1, ...) into the places of their sets among B times K."""

    def join(values: tuple[Tensor | None, ...]) -> Tensor | None:
        there = [value for value in values if value is not None]
        if not there:
            return None
        joined = torch.cat(there)
        if places is not None:
            joined = joined[places.argsort().to(joined.device)]
        return joined.squeeze(1).unflatten(0, size)

    return Decoded._make(join(values) for values in zip(*parts, strict=True))
