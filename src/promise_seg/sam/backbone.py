"""The interface of every SAM: encode an image once, decode prompts any number of times, never train.

Code outside this folder does not access the parts of a SAM. Another kind of SAM (such as SAM 2) is another subclass of
:class:`Backbone`.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from promise_seg.monitoring.hooks import step
from promise_seg.sam.decoded import Decoded
from promise_seg.sam.encoder_precision import check_encoder_precision, lighter
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.sam.normalisation import PIXEL_MEAN, PIXEL_STD
from promise_seg.sam.open_prompts import OpenPrompts, embed
from promise_seg.sam.prompts import Prompts
from promise_seg.sam.sets import are_padded, decode_by_count, decode_one_by_one
from promise_seg.vocabulary import EncoderPrecision, WorkStep

_IMAGES_AT_ONCE = 8

__all__ = ["Backbone", "Decoded", "state_sha256", "weights_sha256"]


class Backbone(nn.Module, ABC):
    """A SAM whose weights are all permanently frozen.

    Gradients flow through :meth:`decode` to prompts and token shifts, but never to a weight; ``train()`` leaves the
    module in evaluation mode. :meth:`encode` and :meth:`decode` do not change the module, so several threads may call
    them at the same time with different shifts and prompts.

    Args:
        name: the name that the user gave to the SAM, for messages and checkpoints.
        sha256: hash of the weights as published.
        sizes: the sizes of the features.
        num_mask_tokens: number of mask tokens of the decoder, to which a token shift is added; 4 for SAM.
        mask_side: side of the low-resolution masks, in pixels; 256 for SAM at 1024 px.
        notes: notes for the user on how the SAM was loaded, a line each.
        trained_at: the input size that the SAM was trained at, in pixels, if it is used at another size.
    """

    model: PreTrainedModel

    def __init__(
        self,
        *,
        name: str,
        sha256: str,
        sizes: FeatureSizes,
        num_mask_tokens: int,
        mask_side: int,
        notes: tuple[str, ...] = (),
        trained_at: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.sha256, self.sizes, self.notes = name, sha256, sizes, notes
        self.num_mask_tokens, self.mask_side = num_mask_tokens, mask_side
        self.trained_at = trained_at or sizes.side
        self.input_scale = (PIXEL_MEAN, PIXEL_STD)
        """The mean and the standard deviation by which pixels are normalised."""
        self.encoder_precision = EncoderPrecision.FP32
        """The precision in which images are encoded; see :meth:`in_precision`."""
        self._lighter: tuple[nn.Module, ...] = ()  # a tuple hides it from saving and hashing

    @property
    def image_size(self) -> int:
        """Side of the model frame, in pixels."""
        return self.sizes.side

    @property
    def embedding_channels(self) -> int:
        """Number of channels of the embedding, and of the decoder's tokens."""
        return self.sizes.embedding_channels

    @property
    def token_channels(self) -> int:
        """Number of channels of the tokens that :meth:`decode` returns."""
        return 2 * self.embedding_channels

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.device

    @property
    def features_sha256(self) -> str:
        """The hash under which features are stored: that of the SAM, or for lower precisions one derived from it."""
        if self.encoder_precision == EncoderPrecision.FP32:
            return self.sha256
        return hashlib.sha256(f"{self.sha256} {self.encoder_precision}".encode()).hexdigest()

    @property
    def images_at_once(self) -> int:
        """The number of images to encode in one batch on this device."""
        return _IMAGES_AT_ONCE if self.device.type == "cuda" else 1

    def in_precision(self, precision: EncoderPrecision) -> Self:
        """Return a SAM that encodes in another precision and shares all other weights; this SAM is not changed.

        Masks are always decoded in single precision.

        Raises:
            SettingsError: if the device or the encoder does not support the precision, or gains nothing by it.
        """
        if precision == self.encoder_precision:
            return self
        check_encoder_precision(precision, self.device)
        is_usual = precision == EncoderPrecision.FP32
        found = copy.copy(self)
        found._lighter = () if is_usual else (lighter(self.get_submodule("model.vision_encoder"), precision),)
        found.encoder_precision = precision
        return found

    def only_named_in(self, precision: EncoderPrecision) -> Self:
        """Return a SAM whose features are named as in another precision, for a process that does not encode itself.

        The images are encoded on other computers, so the device of this process need not support the precision.
        """
        found = copy.copy(self)
        found.encoder_precision = precision
        return found

    @property
    def _encoder(self) -> nn.Module:
        """The image encoder, in the current precision."""
        return self._lighter[0] if self._lighter else self.get_submodule("model.vision_encoder")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert all weights, including the encoder in another precision."""
        for one in self._lighter:
            one._apply(fn, recurse)
        return super()._apply(fn, recurse)

    @property
    def encoder_learns(self) -> bool:
        """Whether the encoder's weights can change; features must not be stored then."""
        return False

    def train(self, mode: bool = True) -> Self:
        """Keep the SAM frozen and in evaluation mode, whatever ``mode`` is."""
        super().train(False)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        return self

    @torch.no_grad()
    def encode(self, images: Tensor) -> Features:
        """Run the image encoder.

        Shape: ``images`` (B, S, S, 3) RGB in [0, 255], any type, where S is :attr:`image_size`.
        Raises: ValueError if the images have another shape.
        """
        with step(WorkStep.ENCODE):
            return self._encode(self._checked(images))

    def _checked(self, images: Tensor) -> Tensor:
        expected = (self.image_size, self.image_size, 3)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(f"images must be (B, {', '.join(map(str, expected))}), got {tuple(images.shape)}")
        return images

    @abstractmethod
    def _encode(self, images: Tensor) -> Features:
        """Run the image encoder on images whose shape was checked."""

    def decode(
        self, features: Features, prompts: Prompts, token_shift: Tensor | None = None, *, multimask: bool = True
    ) -> Decoded:
        """Decode masks for every set of prompts of every image.

        Padding does not change the result: sets with padded points get the same masks as without padding.

        Args:
            features: the features of B images, from :meth:`encode`.
            prompts: prompts for B images with K sets each; no prompts at all count as one set.
            token_shift: (B, num_mask_tokens, C), added to the decoder's mask tokens image by image (IPS).
            multimask: whether to return three masks, or the single mask that SAM was trained to give for unambiguous
                prompts.
        """

        def decode(features: Features, prompts: Prompts, token_shift: Tensor | None) -> Decoded:
            with step(WorkStep.DECODE):
                return self._decode(features, prompts, token_shift, multimask)

        if are_padded(prompts):
            return decode_by_count(decode, features, prompts, token_shift)
        if prompts.mask_logits is not None and prompts.per_image > 1:
            return decode_one_by_one(decode, features, prompts, token_shift)
        return decode(features, prompts, token_shift)

    def _decode(self, features: Features, prompts: Prompts, token_shift: Tensor | None, multimask: bool) -> Decoded:
        """Decode prompts without padded points; with mask prompts, there must be one set per image."""
        masks = prompts.mask_logits
        sparse, dense = self.get_submodule("model.prompt_encoder")(
            input_points=prompts.points_xy_model,
            input_labels=prompts.point_labels,
            input_boxes=prompts.boxes_xyxy_model,
            input_masks=None if masks is None else self._mask_prompt(masks.to(features.embedding)),
        )
        return self._decode_embedded(features, sparse, dense, token_shift, multimask)

    def decode_open(self, features: Features, prompts: OpenPrompts, token_shift: Tensor | None = None) -> Decoded:
        """Decode three masks for K sets of prompts of one image in a single traced graph, for export.

        The masks are the same as those of :meth:`decode`. Each set is treated as a separate image.

        Args:
            features: the features of one image, from :meth:`encode`.
            prompts: the prompts; points, boxes and masks may each be empty.
            token_shift: (1, num_mask_tokens, C), see :meth:`decode`.
        """
        prompts = replace(prompts, mask_logits=self._mask_prompt(prompts.mask_logits))
        sparse, dense = embed(self.get_submodule("model.prompt_encoder"), prompts)
        sets = sparse.shape[0]
        own = features.with_stages(()).tensors
        each = Features({name: value.expand(sets, -1, -1, -1) for name, value in own.items()})
        shift = None if token_shift is None else token_shift.expand(sets, -1, -1)
        return self._decode_embedded(each, sparse, dense, shift, True)

    def _mask_prompt(self, mask_logits: Tensor) -> Tensor:
        """Convert mask prompts to the input of the prompt encoder; by default they are unchanged."""
        return mask_logits

    @abstractmethod
    def _decode_embedded(
        self, features: Features, sparse: Tensor | None, dense: Tensor, token_shift: Tensor | None, multimask: bool
    ) -> Decoded:
        """Decode embedded prompts: ``sparse`` (B, K, T, C) for points and boxes, ``dense`` (B, C, h, w) for masks."""

    def with_sha256(self, sha256: str) -> "Backbone":
        """Return the SAM with this hash if this SAM contains it; otherwise return this SAM."""
        return self

    def save(self, folder: Path) -> None:
        """Save all weights to a folder that :func:`~promise_seg.sam.loading.load_sam` can load."""
        self.model.save_pretrained(folder)


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 of all names, shapes and values in a module's state, on any device."""
    return state_sha256(module.state_dict())


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, shapes and values of tensors, independent of their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        value = tensor.detach().float().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
