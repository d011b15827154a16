"""Attention with relative positions, as the image encoder of SAM has it, without a bias of all queries and keys.

The library adds up the bias of every head, query and key before it attends: 4096 x 4096 values for each of 12 heads in
a global block of ViT-B at 1024 px. Here the bias of a few queries is made where their scores are about to be written.
The tokens that pad windows pass no linear layer either: their query, key and value are the layer's bias.

Three ways lead to the same numbers, up to rounding. :func:`_in_tiles`, on a CPU and without gradients, works in buffers
that fit a processor's cache; :func:`_batched` is for everything else. In it, :func:`_attend_with_places` asks PyTorch's
kernels for CUDA to attend to many keys; :func:`_in_chunks` works on every device.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.sam.packed_layers import ROWS, is_available, is_plain, packed, times

TILE = 2**21
"""Scores that are in work at once on a CPU: 8 MB, or 512 queries of a head of ViT-B at 1024 px."""
CHUNK = 512
"""Queries whose bias is made at once elsewhere."""
_CHANNELS_OF_KERNELS = 8
"""The kernels for CUDA want a multiple of so many channels."""


class Attention(Protocol):
    """The attention of a block of the library's encoder, ``SamVisionAttention`` or a copy of it for another model."""

    num_attention_heads: int
    use_rel_pos: bool
    rel_pos_h: Tensor
    rel_pos_w: Tensor
    qkv: nn.Linear

    def get_rel_pos(self, q_size: int, k_size: int, rel_pos: Tensor) -> Tensor:
        """Return what a query's dot product with is its bias: (q_size, k_size, d)."""


def mix(attention: Attention, tokens: Tensor, window: int) -> Tensor:
    """Return what a block's attention makes of tokens, up to its last layer, ``proj``: (B, H, W, C) to the same.

    Args:
        attention: its layers; nothing in it is changed.
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
    """Attend window by window, a few heads and rows of queries at once, always in the same buffers."""
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
    """The heads and the rows of queries of a window that are in work at once."""

    heads: int
    rows: int

    @staticmethod
    def of(heads: int, sides: tuple[int, int]) -> "_Tile":
        of_row = sides[1] * sides[0] * sides[1]
        rows = max(1, min(sides[0], TILE // of_row))
        return _Tile(max(1, min(heads, TILE // (rows * of_row))) if rows == sides[0] else 1, rows)


def _windows(shape: torch.Size, sides: tuple[int, int]) -> Iterator[tuple[int, slice, slice]]:
    """The windows of a batch of grids: the image, and its rows and columns that are tokens."""
    for image in range(shape[0]):
        for top in range(0, shape[1], sides[0]):
            for left in range(0, shape[2], sides[1]):
                yield image, slice(top, top + sides[0]), slice(left, left + sides[1])


def _padded(here: Tensor, padding: Tensor, sides: tuple[int, int]) -> Tensor:
    """Keys and values of a window (h, w, 3, n, d), and of its padding (3, n, d), as (2, n, keys, d)."""
    keys_values = here[:, :, 1:].permute(2, 3, 0, 1, 4)
    if here.shape[:2] == sides:
        return keys_values.reshape(*keys_values.shape[:2], -1, here.shape[-1])
    whole = padding[1:, :, None, None].repeat(1, 1, *sides, 1)
    whole[:, :, : here.shape[0], : here.shape[1]] = keys_values
    return whole.flatten(2, 3)


_Attend = Callable[[Tensor, tuple[Tensor, Tensor], Tensor], Tensor]
"""Attends with queries (n, h, w, d) and the two parts of their bias, in some memory, and returns (n, h, w, d)."""


def _attend_heads(keys: Tensor, values: Tensor) -> _Attend:
    """Return what attends to keys and values (n, K, d), both of several heads."""

    def attend(queries: Tensor, biases: tuple[Tensor, Tensor], memory: Tensor) -> Tensor:
        heads, height, width, channels = queries.shape
        by_row, by_column = biases
        scores = memory[: heads * height * width * keys.shape[1]].view(heads, height * width, -1)
        torch.add(by_row, by_column, out=scores.view(heads, height, width, by_row.shape[-2], -1))
        scores.baddbmm_(queries.flatten(1, 2), keys.mT, alpha=channels**-0.5)
        torch.softmax(scores, -1, out=scores)  # row by row, so that it may overwrite what it reads
        return torch.bmm(scores, values).view_as(queries)

    return attend


def _attend_head(keys: Tensor, values: Tensor) -> _Attend:
    """Return what attends to keys and values (1, K, d) of one head, which are arranged for all its queries at once."""
    by_keys, by_values = (times(matrix, None, ROWS) for matrix in (keys[0], values[0].T.contiguous()))

    def attend(queries: Tensor, biases: tuple[Tensor, Tensor], memory: Tensor) -> Tensor:
        by_row, by_column = biases
        scores = by_keys(queries.view(-1, queries.shape[-1]) * queries.shape[-1] ** -0.5)
        scores.view(*queries.shape[:3], by_row.shape[-2], -1).add_(by_row).add_(by_column)
        torch.softmax(scores, -1, out=scores)
        return by_values(scores).view_as(queries)

    return attend


def _biases(queries: Tensor, places_h: Tensor, places_w: Tensor) -> tuple[Tensor, Tensor]:
    """The two parts of the bias of queries (..., h, w, d): (..., h, w, H, 1) and (..., h, w, 1, W)."""
    by_row = torch.einsum("...hwc,hkc->...hwk", queries, places_h.to(queries.dtype))
    by_column = torch.einsum("...hwc,wkc->...hwk", queries, places_w.to(queries.dtype))
    return by_row[..., :, None], by_column[..., None, :]


def _batched(attention: Attention, tokens: Tensor, sides: tuple[int, int], places: list[Tensor]) -> Tensor:
    """Attend in all windows at once; gradients pass, and any device and precision will do."""
    batch, height, width, _ = tokens.shape
    # Rounded up without numbers below zero, whose division a traced graph rounds the other way.
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
    """Attend without a bias: it is a dot product of channels that are added to queries and keys.

    A key says its row and its column, each as a vector of zeros and a one, and a query what its bias is for each row
    and each column. Kernels that never write down all scores take any channels, but no bias of this kind.

    Args:
        queries: (B, n, Q, d); ``keys`` and ``values`` (B, n, H W, d).
        keys: see ``queries``.
        values: see ``queries``.
        by_row: (B, n, Q, H), the bias of each query for each row of keys.
        by_column: (B, n, Q, W), the same for each column.

    Returns:
        (B, n, Q, d).
    """
    height, width, channels = by_row.shape[-1], by_column.shape[-1], queries.shape[-1]
    unused = -(channels + height + width) % _CHANNELS_OF_KERNELS
    rows, columns = (torch.eye(side, dtype=keys.dtype, device=keys.device) for side in (height, width))
    places = torch.cat([rows.repeat_interleave(width, 0), columns.repeat(height, 1)], 1)
    wide_keys = torch.cat([keys, places.expand(*keys.shape[:2], -1, -1)], -1)
    # The kernel multiplies all scores by its scale, once they are in single precision: the bias is made larger by it.
    wide_queries = torch.cat([queries, torch.cat([by_row, by_column], -1) * channels**0.5], -1)
    return F.scaled_dot_product_attention(
        F.pad(wide_queries, (0, unused)), F.pad(wide_keys, (0, unused)), values, scale=channels**-0.5
    )
