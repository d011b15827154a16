"""Attention with relative positions, as in the image encoder of SAM, without storing the bias of all queries and keys.

The library computes the bias of every head, query and key first: 4096 x 4096 values for each of 12 heads in a global
block of ViT-B at 1024 px. Here, the bias is computed for a few queries at a time, in the memory of their scores. Tokens
that pad windows also skip the linear layer, because their query, key and value are the layer's bias.

There are three implementations with the same results up to rounding. :func:`_in_tiles`, on a CPU without gradients,
works in buffers that fit a processor's cache; :func:`_batched` is for everything else. It uses
:func:`_attend_with_places` for many keys on CUDA, and :func:`_in_chunks` otherwise.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.sam.packed_layers import ROWS, is_available, is_plain, packed, times

TILE = 2**21
"""The number of scores computed at once on a CPU: 8 MB, or 512 queries of a head of ViT-B at 1024 px."""
CHUNK = 512
"""The number of queries whose bias is computed at once in other cases."""
_CHANNELS_OF_KERNELS = 8
"""CUDA kernels need a multiple of this number of channels."""


class Attention(Protocol):
    """The attention of a block of the library's encoder: ``SamVisionAttention`` or its equivalent in another model."""

    num_attention_heads: int
    use_rel_pos: bool
    rel_pos_h: Tensor
    rel_pos_w: Tensor
    qkv: nn.Linear

    def get_rel_pos(self, q_size: int, k_size: int, rel_pos: Tensor) -> Tensor:
        """Return the relative position vectors (q_size, k_size, d); the bias is their dot product with a query."""


def mix(attention: Attention, tokens: Tensor, window: int) -> Tensor:
    """Run the attention of a block without its output projection ``proj``: (B, H, W, C) to the same shape.

    Args:
        attention: the layers of the attention; nothing in it is changed.
        tokens: (B, H, W, C), the output of the block's first norm.
        window: side of the windows within which tokens attend to each other, in tokens; 0 for the whole grid.

    Source: Li et al., MViTv2, 2022, section 4.1 (decomposed relative positions); the steps are those of the library's
        ``SamVisionLayer`` and ``SamVisionAttention``.
    """
    sides = (window, window) if window else (tokens.shape[1], tokens.shape[2])
    places = [
        attention.get_rel_pos(side, side, table)
        for side, table in zip(sides, (attention.rel_pos_h, attention.rel_pos_w), strict=True)
    ]
    return (_in_tiles if is_plain(tokens) else _batched)(attention, tokens, sides, places)


def _in_tiles(attention: Attention, tokens: Tensor, sides: tuple[int, int], places: list[Tensor]) -> Tensor:
    """Attend window by window, with a few heads and rows of queries at a time, and reuse the same buffers."""
    heads = attention.num_attention_heads
    flat = tokens.flatten(0, 2)
    qkv = packed(attention.qkv, len(flat))(flat).view(*tokens.shape[:3], 3, heads, -1)
    mixed = torch.empty_like(qkv[:, :, :, 0])
    tile = _Tile.of(heads, sides)
    scores = tokens.new_empty(tile.heads * tile.rows * sides[1] * sides[0] * sides[1])
    padding = qkv.new_zeros(qkv.shape[3:]) if attention.qkv.bias is None else attention.qkv.bias.view(qkv.shape[3:])
    for image, rows, columns in _windows(tokens.shape, sides):
        here = qkv[image, rows, columns]
        keys_values = _padded(here, padding, sides)
        for head in range(0, heads, tile.heads):
            some = slice(head, head + tile.heads)
            attend = (_attend_head if tile.heads == 1 and is_available() else _attend_heads)(*keys_values[:, some])
            for row in range(0, here.shape[0], tile.rows):
                queries = here[row : row + tile.rows, :, 0, some].permute(2, 0, 1, 3).contiguous()
                of_queries = [places[0][row : row + queries.shape[1]], places[1][: queries.shape[2]]]
                found = attend(queries, _biases(queries, *of_queries), scores)
                mixed[image, rows, columns][row : row + tile.rows, :, some] = found.permute(1, 2, 0, 3)
    return mixed.flatten(-2)


class _Tile(NamedTuple):
    """The number of heads, and of rows of queries in a window, that are processed at once."""

    heads: int
    rows: int

    @staticmethod
    def of(heads: int, sides: tuple[int, int]) -> "_Tile":
        of_row = sides[1] * sides[0] * sides[1]
        rows = max(1, min(sides[0], TILE // of_row))
        return _Tile(max(1, min(heads, TILE // (rows * of_row))) if rows == sides[0] else 1, rows)


def _windows(shape: torch.Size, sides: tuple[int, int]) -> Iterator[tuple[int, slice, slice]]:
    """Yield the windows of a batch of grids: the index of the image, and the rows and columns of the window."""
    for image in range(shape[0]):
        for top in range(0, shape[1], sides[0]):
            for left in range(0, shape[2], sides[1]):
                yield image, slice(top, top + sides[0]), slice(left, left + sides[1])


def _padded(here: Tensor, padding: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return keys and values (2, n, keys, d) of a window (h, w, 3, n, d), filled up with ``padding`` (3, n, d)."""
    keys_values = here[:, :, 1:].permute(2, 3, 0, 1, 4)
    if here.shape[:2] == sides:
        return keys_values.reshape(*keys_values.shape[:2], -1, here.shape[-1])
    whole = padding[1:, :, None, None].repeat(1, 1, *sides, 1)
    whole[:, :, : here.shape[0], : here.shape[1]] = keys_values
    return whole.flatten(2, 3)


_Attend = Callable[[Tensor, tuple[Tensor, Tensor], Tensor], Tensor]
"""A function that attends with queries (n, h, w, d) and the two parts of their bias, using a buffer for scores, and
returns (n, h, w, d)."""


def _attend_heads(keys: Tensor, values: Tensor) -> _Attend:
    """Return the function that attends to keys and values (n, K, d) of several heads."""

    def attend(queries: Tensor, biases: tuple[Tensor, Tensor], memory: Tensor) -> Tensor:
        heads, height, width, channels = queries.shape
        by_row, by_column = biases
        scores = memory[: heads * height * width * keys.shape[1]].view(heads, height * width, -1)
        torch.add(by_row, by_column, out=scores.view(heads, height, width, by_row.shape[-2], -1))
        scores.baddbmm_(queries.flatten(1, 2), keys.mT, alpha=channels**-0.5)
        torch.softmax(scores, -1, out=scores)  # safe in place, as softmax works row by row
        return torch.bmm(scores, values).view_as(queries)

    return attend


def _attend_head(keys: Tensor, values: Tensor) -> _Attend:
    """Return the function that attends to keys and values (1, K, d) of one head, packed once for all its queries."""
    by_keys, by_values = (times(matrix, None, ROWS) for matrix in (keys[0], values[0].T.contiguous()))

    def attend(queries: Tensor, biases: tuple[Tensor, Tensor], memory: Tensor) -> Tensor:
        by_row, by_column = biases
        scores = by_keys(queries.view(-1, queries.shape[-1]) * queries.shape[-1] ** -0.5)
        scores.view(*queries.shape[:3], by_row.shape[-2], -1).add_(by_row).add_(by_column)
        torch.softmax(scores, -1, out=scores)
        return by_values(scores).view_as(queries)

    return attend


def _biases(queries: Tensor, places_h: Tensor, places_w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two parts of the bias of queries (..., h, w, d): (..., h, w, H, 1) and (..., h, w, 1, W)."""
    by_row = torch.einsum("...hwc,hkc->...hwk", queries, places_h.to(queries.dtype))
    by_column = torch.einsum("...hwc,wkc->...hwk", queries, places_w.to(queries.dtype))
    return by_row[..., :, None], by_column[..., None, :]


def _batched(attention: Attention, tokens: Tensor, sides: tuple[int, int], places: list[Tensor]) -> Tensor:
    """Attend in all windows at once, on any device, in any precision, and with gradients."""
    batch, height, width, _ = tokens.shape
    # Rounded up without negative numbers, because a traced graph rounds their division towards zero.
    rows, columns = ((size + side - 1) // side for size, side in zip((height, width), sides, strict=True))
    qkv = F.linear(tokens, attention.qkv.weight)
    qkv = F.pad(qkv, (0, 0, 0, columns * sides[1] - width, 0, rows * sides[0] - height))
    if attention.qkv.bias is not None:
        qkv = qkv + attention.qkv.bias.to(qkv.dtype)
    qkv = qkv.view(batch, rows, sides[0], columns, sides[1], 3, attention.num_attention_heads, -1)
    queries, keys, values = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(1, 3).unbind(0)  # each (windows, n, h, w, d)
    by_row, by_column = _biases(queries.contiguous(), *places)
    queries, keys, values = (part.flatten(2, 3).contiguous() for part in (queries, keys, values))
    by_row, by_column = by_row.flatten(2, 3), by_column.flatten(2, 3)
    if queries.shape[2] > CHUNK and queries.device.type == "cuda" and not torch.is_grad_enabled():
        mixed = _attend_with_places(queries, keys, values, by_row.squeeze(-1), by_column.squeeze(-2))
    else:
        mixed = _in_chunks(queries, keys, values, by_row, by_column)
    mixed = mixed.view(batch, rows, columns, attention.num_attention_heads, *sides, -1)
    mixed = mixed.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, rows * sides[0], columns * sides[1], -1)
    return mixed[:, :height, :width].contiguous()


def _in_chunks(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    parts = []
    for start in range(0, queries.shape[2], CHUNK):
        some = slice(start, start + CHUNK)
        bias = (by_row[:, :, some] + by_column[:, :, some]).flatten(3)
        parts.append(F.scaled_dot_product_attention(queries[:, :, some], keys, values, attn_mask=bias))
    return torch.cat(parts, 2)


def _attend_with_places(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attend without an explicit bias: the bias becomes a dot product of additional channels of queries and keys.

    The additional channels of a key are one-hot vectors of its row and its column; those of a query hold its bias for
    each row and each column. Memory-efficient kernels accept any channels, but not a bias of this kind.

    Args:
        queries: (B, n, Q, d); ``keys`` and ``values`` (B, n, H W, d).
        keys: see ``queries``.
        values: see ``queries``.
        by_row: (B, n, Q, H), the bias of each query for each row of keys.
        by_column: (B, n, Q, W), the bias of each query for each column of keys.

    Returns:
        The attended values, (B, n, Q, d).
    """
    height, width, channels = by_row.shape[-1], by_column.shape[-1], queries.shape[-1]
    unused = -(channels + height + width) % _CHANNELS_OF_KERNELS
    rows, columns = (torch.eye(side, dtype=keys.dtype, device=keys.device) for side in (height, width))
    places = torch.cat([rows.repeat_interleave(width, 0), columns.repeat(height, 1)], 1)
    wide_keys = torch.cat([keys, places.expand(*keys.shape[:2], -1, -1)], -1)
    # The kernel multiplies all scores, bias included, by its scale; so the bias is divided by that scale before.
    wide_queries = torch.cat([queries, torch.cat([by_row, by_column], -1) * channels**0.5], -1)
    return F.scaled_dot_product_attention(
        F.pad(wide_queries, (0, unused)), F.pad(wide_keys, (0, unused)), values, scale=channels**-0.5
    )
