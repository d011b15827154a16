"""Our own forward pass of a block of SAM 2's image encoder: the same results as the library, faster on a CPU."""

from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention, Sam2MultiScaleBlock

from promise_seg.sam.packed_layers import Mlp, finished, is_plain, packed


def pass_block(block: Sam2MultiScaleBlock, hidden: Tensor) -> Tensor:
    """Run a block on tokens, (B, H, W, D) to (B, H', W', D'); a new stage halves H and W and doubles D.

    The result differs from the library's only by rounding. Two computations of the library are skipped: attention
    weights between the heads of each token, which are unused, and the linear layers for tokens that pad windows, whose
    query, key and value are the layer's bias. Nothing in ``block`` is changed, so several threads may call this at
    once. With gradients, or in another precision or on another device, the library's own block is used.

    Args:
        block: a ``Sam2MultiScaleBlock`` of ``transformers``.
        hidden: (B, H, W, D), the output of the previous block.

    Source: Ryali et al., Hiera, 2023; the steps are those of the library's ``Sam2MultiScaleBlock``.
    """
    if not is_plain(hidden):
        return block(hidden)
    normed = block.layer_norm1(hidden)
    before = hidden
    if block.dim != block.dim_out:
        before = _pooled(_through(block.proj, normed), block.query_stride)
    mixed = _mix(block.attn, normed, block.window_size)
    mlp = Mlp(block.layer_norm2, block.mlp.proj_in, block.mlp.activation, block.mlp.proj_out)
    return finished(before, mixed, block.attn.proj, mlp)


def _through(layer: nn.Linear, tokens: Tensor) -> Tensor:
    """Pass tokens (..., C) through a linear layer."""
    flat = tokens.flatten(0, -2)
    return packed(layer, len(flat))(flat).view(*tokens.shape[:-1], -1)


def _pooled(tokens: Tensor, stride: tuple[int, int] | None) -> Tensor:
    """Max-pool tokens (B, H, W, C) with a stride to (B, H', W', C)."""
    if stride is None:
        return tokens
    rows, columns = (size // step for size, step in zip(tokens.shape[1:3], stride, strict=True))
    whole = tokens[:, : rows * stride[0], : columns * stride[1]]
    return reduce(torch.maximum, (whole[:, r :: stride[0], c :: stride[1]] for r, c in np.ndindex(*stride)))


def _mix(attention: Sam2MultiScaleAttention, tokens: Tensor, window: int) -> Tensor:
    """Run attention, without its output projection, on tokens (B, H, W, C); return (B, H', W', C')."""
    batch, height, width, _ = tokens.shape
    heads = attention.num_attention_heads
    sides = (window, window) if window else (height, width)
    qkv = _through(attention.qkv, tokens)
    rows, columns = (-(-size // side) for size, side in zip((height, width), sides, strict=True))
    if (rows * sides[0], columns * sides[1]) != (height, width):
        padded = attention.qkv.bias.repeat(batch, rows * sides[0], columns * sides[1], 1)
        padded[:, :height, :width] = qkv
        qkv = padded
    qkv = qkv.view(batch, rows, sides[0], columns, sides[1], 3, heads, -1)
    queries, keys, values = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(1, 3).unbind(0)  # each (windows, n, h, w, d)
    stride = attention.query_stride
    if stride is not None:
        queries = _pooled(queries.flatten(0, 1), stride).unflatten(0, queries.shape[:2])
    seen = queries.shape[2:4]
    queries, keys, values = (part.flatten(2, 3) for part in (queries, keys, values))
    mixed = F.scaled_dot_product_attention(queries, keys, values, scale=attention.scale)
    mixed = mixed.view(batch, rows, columns, heads, *seen, -1).permute(0, 1, 4, 2, 5, 3, 6)
    mixed = mixed.reshape(batch, rows * seen[0], columns * seen[1], -1)
    if stride is not None:
        height, width = height // stride[0], width // stride[1]
    return mixed[:, :height, :width].contiguous()
