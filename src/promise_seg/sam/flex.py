"""Attention with relative positions as one kernel, by PyTorch's FlexAttention: for CUDA, where it can be compiled."""

import functools
import logging
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

_LOG = logging.getLogger(__name__)
_failed: set[torch.device] = set()
"""The devices on which compiling failed, where it is not tried again."""


def is_available(queries: Tensor) -> bool:
    """Whether :func:`attend` is worth trying for these queries."""
    return (
        queries.device.type == "cuda"
        and queries.device not in _failed
        and torch.cuda.get_device_capability(queries.device) >= (8, 0)
        and find_spec("triton") is not None
    )


def attend(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attend with a bias that is never written: that of a query and a key is read from two small tables.

    Where the kernel cannot be compiled, this is logged once, and PyTorch's plain way is taken.

    Args:
        queries: (B, n, Q, d); ``keys`` and ``values`` (B, n, H W, d).
        keys: see ``queries``.
        values: see ``queries``.
        by_row: (B, n, Q, H), the bias of each query for each row of keys.
        by_column: (B, n, Q, W), the same for each column.

    Returns:
        (B, n, Q, d).
    """
    try:
        return _compiled()(queries, keys, values, by_row, by_column)
    except Exception as error:  # of the compiler, whose kinds differ from version to version
        if isinstance(error, torch.OutOfMemoryError):
            raise
        _failed.add(queries.device)
        _LOG.warning("FlexAttention cannot be used on %s, so encoding is slower: %s", queries.device, _line(error))
        bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(3)
        return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)


def flex_attend(queries: Tensor, keys: Tensor, values: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attend as :func:`attend` does, but without a compiler: slow, and the meaning of the compiled kernel."""
    from torch.nn.attention.flex_attention import flex_attention

    width = by_column.shape[-1]

    def with_positions(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        bias = by_row[batch, head, query, key // width] + by_column[batch, head, query, key % width]
        return score + bias

    return flex_attention(queries, keys, values, score_mod=with_positions)


@functools.cache
def _compiled() -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    return torch.compile(flex_attend, dynamic=False)


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
