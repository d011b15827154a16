"""One class around any ``transformers`` SAM: encode images once, decode prompts as often as you like, never train."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from transformers import SamModel

from promise_seg.sam.features import Features, FeatureSizes, stage_blocks
from promise_seg.sam.normalisation import normalise
from promise_seg.sam.prompts import Prompts


class Decoded(NamedTuple):
    """Shape: ``mask_logits`` (B, K, M, 4h, 4w), unbounded; ``iou`` (B, K, M), SAM's own estimate of each mask's IoU."""

    mask_logits: Tensor
    iou: Tensor


def weights_sha256(module: nn.Module) -> str:
    """Hash of all names, shapes and values of a module's state, on whatever device it is."""
    return state_sha256(module.state_dict())


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """See :func:`weights_sha256`."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        value = tensor.detach().float().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


class FrozenSam(nn.Module):
    """SAM with all its weights frozen for good.

    Gradients flow through :meth:`decode` to prompts and token shifts, never into a weight; ``train()`` leaves it in
    evaluation mode.

    Args:
        model: any ``SamModel``.
        name: how the user called it; kept for messages and checkpoints.
        sha256: hash of its weights as they were published, if they were changed since (see
            :func:`~promise_seg.sam.resizing.resize`); worked out from the weights if ``None``.
        notes: what a user should know of how it was loaded, a line each.
        trained_at: the input size that it was trained at, in pixels, if it is used at another.
    """

    def __init__(
        self,
        model: SamModel,
        name: str,
        sha256: str | None = None,
        notes: tuple[str, ...] = (),
        trained_at: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.name = name
        self.notes = notes
        vision = model.config.vision_config
        self.image_size: int = vision.image_size
        self.trained_at: int = trained_at or self.image_size
        self.grid: int = vision.image_size // vision.patch_size
        self.embedding_channels: int = vision.output_channels
        self.mask_side: int = 4 * self.grid
        self.num_mask_tokens: int = model.mask_decoder.num_mask_tokens
        self.sizes = FeatureSizes(
            side=self.image_size,
            grid=self.grid,
            embedding_channels=self.embedding_channels,
            stage_channels=vision.hidden_size,
            num_heads=vision.num_attention_heads,
        )
        self._stage_blocks = stage_blocks(vision.num_hidden_layers)
        self.sha256 = sha256 or weights_sha256(model)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Stays frozen and in evaluation mode, whatever ``mode`` says."""
        super().train(False)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        return self

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def encoder_learns(self) -> bool:
        """Whether the encoder's weights can change, so that features must not be stored: never, but in a
        :class:`~promise_seg.sam.tuned.TunedSam`."""
        return False

    @torch.no_grad()
    def encode(self, images: Tensor) -> Features:
        """Run the image encoder.

        Shape: ``images`` (B, S, S, 3) RGB in [0, 255], any type, S being :attr:`image_size`.
        Raises: ValueError if they have another shape.
        """
        return self._encode(images)

    def _encode(self, images: Tensor) -> Features:
        expected = (self.image_size, self.image_size, 3)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(f"images must be (B, {', '.join(map(str, expected))}), got {tuple(images.shape)}")
        stages: dict[int, Tensor] = {}
        encoder = self.model.vision_encoder

        def keep(block: int) -> torch.utils.hooks.RemovableHandle:
            return encoder.layers[block].register_forward_hook(
                lambda _module, _args, output: stages.__setitem__(block, output)
            )

        handles = [keep(block) for block in self._stage_blocks]
        try:
            embedding = encoder(normalise(images.to(self.device))).last_hidden_state
        finally:
            for handle in handles:
                handle.remove()
        # Contiguous, as stored features are: another memory layout would take other kernels, with other last digits.
        return Features(embedding.contiguous(), torch.stack([stages[block] for block in self._stage_blocks], 1))

    def decode(
        self, embedding: Tensor, prompts: Prompts, token_shift: Tensor | None = None, *, multimask: bool = True
    ) -> Decoded:
        """Masks for every set of prompts of every image.

        Args:
            embedding: (B, C, h, w), of :meth:`encode`.
            prompts: B images with K sets each; nothing at all counts as one set.
            token_shift: (B, M + 1, C), added to the decoder's mask tokens image by image (IPS). The IoU token stays.
            multimask: three masks, or the single one that SAM was trained for when prompts are unambiguous.
        """
        if prompts.mask_logits is not None and prompts.per_image > 1:
            return self._decode_one_by_one(embedding, prompts, token_shift, multimask)
        masks_in = None if prompts.mask_logits is None else prompts.mask_logits.to(embedding)
        sparse, dense = self.model.prompt_encoder(
            input_points=prompts.points_xy,
            input_labels=prompts.point_labels,
            input_boxes=prompts.boxes_xyxy,
            input_masks=masks_in,
        )
        positions = self.model.get_image_wide_positional_embeddings().expand(len(embedding), -1, -1, -1)
        handle = None
        if token_shift is not None:
            handle = self.model.mask_decoder.transformer.register_forward_pre_hook(
                _shifting(token_shift), with_kwargs=True
            )
        try:
            mask_logits, iou = self.model.mask_decoder(
                image_embeddings=embedding,
                image_positional_embeddings=positions,
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )[:2]
        finally:
            if handle is not None:
                handle.remove()
        return Decoded(mask_logits, iou)

    def _decode_one_by_one(
        self, embedding: Tensor, prompts: Prompts, token_shift: Tensor | None, multimask: bool
    ) -> Decoded:
        """Several mask prompts for an image: the library takes one each, so every set gets a batch entry."""
        repeats = prompts.per_image
        flat = Prompts(**{k: None if v is None else v.flatten(0, 1)[:, None] for k, v in vars(prompts).items()})
        shift = None if token_shift is None else token_shift.repeat_interleave(repeats, 0)
        decoded = self.decode(embedding.repeat_interleave(repeats, 0), flat, shift, multimask=multimask)
        return Decoded(*(v.unflatten(0, (len(embedding), repeats)).squeeze(2) for v in decoded))


def _shifting(token_shift: Tensor):  # type: ignore[no-untyped-def]  # the hook's signature is torch's own
    """A hook that adds the shift to the mask tokens as they enter the decoder's transformer.

    The tokens arrive as (B, K, 1 + M + N, C): the IoU token, the mask tokens, the prompts.
    """

    def hook(_module, args, kwargs):  # type: ignore[no-untyped-def]
        tokens = kwargs["point_embeddings"]
        count = token_shift.shape[1]
        moved = tokens[:, :, 1 : 1 + count] + token_shift[:, None].to(tokens)
        kwargs["point_embeddings"] = torch.cat([tokens[:, :, :1], moved, tokens[:, :, 1 + count :]], 2)
        return args, kwargs

    return hook
