"""Our own pass through the image encoder of SAM: the library's layers and numbers, in less time and memory."""

from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor
from transformers.models.sam.modeling_sam import SamVisionEncoder, SamVisionLayer

from promise_seg.sam.packed_layers import Mlp, finished, is_plain
from promise_seg.sam.vit_attention import mix


class Encoded(NamedTuple):
    """The outputs of an encoder for B images.

    Shape: ``embedding`` (B, C, h, w); ``stages``, the outputs of the wanted blocks, each (B, h, w, D).
    """

    embedding: Tensor
    stages: list[Tensor]


def encode_vit(encoder: SamVisionEncoder, pixels: Tensor, stage_blocks: Collection[int]) -> Encoded:
    """Encode images with the steps of the library's encoder, some of them in an order of our own.

    The result differs from the library's by rounding alone; without relative positions, as in the nano SAM, the steps
    are the library's, and only the memory layout is ours.
    No state is held, and nothing in ``encoder`` is changed: threads may call it at once.

    Args:
        encoder: a ``SamVisionEncoder`` of ``transformers``, or a copy of it for another model.
        pixels: (B, 3, S, S), normalised; converted to the precision of the weights.
        stage_blocks: indices of the blocks whose outputs are wanted, counting from 0.
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
    # Contiguous, as stored features are: another memory layout would take other kernels, with other last digits.
    return Encoded(encoder.neck(hidden).contiguous(), stages)


def _pass(block: SamVisionLayer, hidden: Tensor) -> Tensor:
    """Run the block on tokens: (B, H, W, D) to the same, in memory of its own."""
    mixed = mix(block.attn, block.layer_norm1(hidden), block.window_size)
    if not is_plain(hidden):
        hidden = hidden + block.attn.proj(mixed)
        return hidden + block.mlp(block.layer_norm2(hidden))
    mlp = Mlp(block.layer_norm2, block.mlp.lin1, block.mlp.act, block.mlp.lin2)
    return finished(hidden, mixed, block.attn.proj, mlp)
