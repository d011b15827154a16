"""The contract that every SAM keeps: encode images once, decode prompts as often as you like, never train.

Nothing outside this folder looks inside a SAM. Another one (SAM 2, a relative) is another subclass of
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
    """A SAM with all its weights frozen for good.

    Gradients flow through :meth:`decode` to prompts and token shifts, never into a weight; ``train()`` leaves it in
    evaluation mode. :meth:`encode` and :meth:`decode` change nothing in the module, so that several threads may call
    them at once, with shifts and prompts of their own.

    Args:
        name: how the user called it; kept for messages and checkpoints.
        sha256: hash of its weights as they were published.
        sizes: the sizes of its features.
        num_mask_tokens: mask tokens of its decoder, which a shift moves; 4 for SAM.
        mask_side: side of the low-resolution masks that it decodes, in pixels; 256 for SAM at 1024 px.
        notes: what a user should know of how it was loaded, a line each.
        trained_at: the input size that it was trained at, in pixels, if it is used at another.
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
        """The precision that it encodes in; see :meth:`in_precision`."""
        self._lighter: tuple[nn.Module, ...] = ()  # in a tuple, as it is no part of the SAM that is saved and hashed

    @property
    def image_size(self) -> int:
        """Side of the model frame, in pixels."""
        return self.sizes.side

    @property
    def embedding_channels(self) -> int:
        """Channels of the embedding, and of the decoder's tokens."""
        return self.sizes.embedding_channels

    @property
    def token_channels(self) -> int:
        """Channels of the tokens that :meth:`decode` returns."""
        return 2 * self.embedding_channels

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return self.model.device

    @property
    def features_sha256(self) -> str:
        """The hash by which its features are stored: its own, or another one for each other precision."""
        if self.encoder_precision == EncoderPrecision.FP32:
            return self.sha256
        return hashlib.sha256(f"{self.sha256} {self.encoder_precision}".encode()).hexdigest()

    @property
    def images_at_once(self) -> int:
        """How many images are worth encoding together on its device."""
        return _IMAGES_AT_ONCE if self.device.type == "cuda" else 1

    def in_precision(self, precision: EncoderPrecision) -> Self:
        """Return a SAM that encodes in this precision and shares all other weights; this one stays as it is.

        Masks are decoded in single precision in any case.

        Raises:
            SettingsError: if its device or its encoder cannot, or nothing is gained by it.
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
        """Return a SAM whose features have the names of those in this precision, for a process that encodes nothing.

        Other computers encode, so that the device of this one does not matter.
        """
        found = copy.copy(self)
        found.encoder_precision = precision
        return found

    @property
    def _encoder(self) -> nn.Module:
        """The image encoder, in the precision that it encodes in."""
        return self._lighter[0] if self._lighter else self.get_submodule("model.vision_encoder")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device with all that it encodes with."""
        for one in self._lighter:
            one._apply(fn, recurse)
        return super()._apply(fn, recurse)

    @property
    def encoder_learns(self) -> bool:
        """Whether the encoder's weights can change, so that features must not be stored."""
        return False

    def train(self, mode: bool = True) -> Self:
        """Stay frozen and in evaluation mode, whatever ``mode`` says."""
        super().train(False)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        return self

    @torch.no_grad()
    def encode(self, images: Tensor) -> Features:
        """Run the image encoder.

        Shape: ``images`` (B, S, S, 3) RGB in [0, 255], any type, S being :attr:`image_size`.
        Raises: ValueError if they have another shape.
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
        """Run the image encoder on images of the right shape."""

    def decode(
        self, features: Features, prompts: Prompts, token_shift: Tensor | None = None, *, multimask: bool = True
    ) -> Decoded:
        """Decode masks for every set of prompts of every image.

        Sets with padded points get the masks that they get without padding, whatever they are decoded with.

        Args:
            features: B images, from :meth:`encode`.
            prompts: B images with K sets each; nothing at all counts as one set.
            token_shift: (B, num_mask_tokens, C), added to the decoder's mask tokens image by image (IPS).
            multimask: three masks, or the single one that SAM was trained for when prompts are unambiguous.
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
        """Decode sets without padded points, of which those with a mask are one for each image."""
        masks = prompts.mask_logits
        sparse, dense = self.get_submodule("model.prompt_encoder")(
            input_points=prompts.points_xy_model,
            input_labels=prompts.point_labels,
            input_boxes=prompts.boxes_xyxy_model,
            input_masks=None if masks is None else self._mask_prompt(masks.to(features.embedding)),
        )
        return self._decode_embedded(features, sparse, dense, token_shift, multimask)

    def decode_open(self, features: Features, prompts: OpenPrompts, token_shift: Tensor | None = None) -> Decoded:
        """Decode three masks for K sets of prompts of one image, whichever prompts are there: for exported graphs.

        The masks are those of :meth:`decode`. It takes each set as an image of its own.

        Args:
            features: one image, from :meth:`encode`.
            prompts: any of them may be empty.
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
        """Return mask prompts as the prompt encoder takes them."""
        return mask_logits

    @abstractmethod
    def _decode_embedded(
        self, features: Features, sparse: Tensor | None, dense: Tensor, token_shift: Tensor | None, multimask: bool
    ) -> Decoded:
        """Decode prompts that are embedded already: points and boxes (B, K, T, C), and masks (B, C, h, w)."""

    def with_sha256(self, sha256: str) -> "Backbone":
        """Return the SAM of this hash if this one holds it inside; otherwise this one."""
        return self

    def save(self, folder: Path) -> None:
        """Write all its weights into a folder from which :func:`~promise_seg.sam.loading.load_sam` loads it again."""
        self.model.save_pretrained(folder)


def weights_sha256(module: nn.Module) -> str:
    """Hash all names, shapes and values of a module's state, on whatever device it is."""
    return state_sha256(module.state_dict())


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Hash names, shapes and values of tensors, whatever their order; see :func:`weights_sha256`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        value = tensor.detach().float().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
