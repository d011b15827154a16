"""Our own forward pass of SAM's image encoder: the same results as the library, in less time and memory."""

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor
from transformers.models.sam.modeling_sam import SamVisionEncoder, SamVisionLayer

from promise_seg.sam.packed_layers import Mlp, finished, is_plain
from promise_seg.sam.vit_attention import mix


class EncoderOutputs(NamedTuple):
    """The outputs of an encoder for B images.

    Shape: ``embedding`` (B, C, h, w); ``stages``, the outputs of the requested blocks, each (B, h, w, D).
    """

    embedding: Tensor
    stages: list[Tensor]


def encode_vit(encoder: SamVisionEncoder, pixels: Tensor, stage_blocks: Collection[int]) -> EncoderOutputs:
    """Encode images with the steps of the library's encoder, but with our own attention.

    The result differs from the library's only by rounding. Without relative positions, as in the nano SAM, the blocks
    of the library are used, and only the memory layout differs. The function is stateless and does not change
    ``encoder``, so several threads may call it at once.

    Args:
        encoder: a ``SamVisionEncoder`` of ``transformers``, or its equivalent in another model.
        pixels: (B, 3, S, S), normalised; converted to the precision of the weights.
        stage_blocks: indices of the blocks whose outputs are returned, counting from 0.
    """
    hidden = encoder.patch_embed(pixels.to(encoder.patch_embed.projection.weight.dtype))
    if encoder.pos_embed is not None:
        hidden = hidden + encoder.pos_embed
    hidden = hidden.contiguous()
    stages = []
    for number, block in enumerate(encoder.layers):
        hidden = _pass(block, hidden) if block.attn.use_rel_pos else block(hidden)
        if number in stage_blocks:
            stages.append(hidden)
    # Contiguous, like stored features: with another memory layout, other kernels would give other last digits.
    return EncoderOutputs(encoder.neck(hidden).contiguous(), stages)


def _pass(block: SamVisionLayer, hidden: Tensor) -> Tensor:
    """Run a block on tokens, (B, H, W, D) to the same shape, in new memory."""
    mixed = mix(block.attn, block.layer_norm1(hidden), block.window_size)
    if not is_plain(hidden):
        hidden = hidden + block.attn.proj(mixed)
        return hidden + block.mlp(block.layer_norm2(hidden))
    mlp = Mlp(block.layer_norm2, block.mlp.lin1, block.mlp.act, block.mlp.lin2)
    return finished(hidden, mixed, block.attn.proj, mlp)
