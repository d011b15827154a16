"""Linear layers on a CPU by oneDNN instead of MKL: the same products, a quarter faster where it was measured.

PyTorch has both, and takes MKL for single precision; on AMD's processors that leaves much of them unused.
"""

import platform
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROWS = 512
"""Rows that pass a layer at once, so that what one layer writes is in the cache when the next one reads it."""

_MACHINES = {"x86_64", "amd64"}
_OPERATORS = ("_reorder_linear_weight", "_linear_pointwise")
"""The operators that PyTorch's own compiler uses; they are not promised to users, so they may be missing one day."""


def is_plain(tokens: Tensor) -> bool:
    """Whether tokens are computed in single precision on a CPU, without gradients, and not to become a graph."""
    return (
        tokens.device.type == "cpu"
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]  # it is documented
        and not torch.compiler.is_compiling()
        and tokens.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def packed(layer: nn.Linear, rows: int = ROWS) -> Callable[[Tensor], Tensor]:
    """Return a function that does what a layer does to rows (n, C), for :func:`is_plain` ones.

    The weights are arranged anew for it, which is one pass over them. Use the function at once and let it go: it does
    not see what becomes of the layer's weights. Where this PyTorch cannot do it, the layer itself is returned.

    Args:
        layer: of the network.
        rows: how many will be given at once; any number works.
    """
    if type(layer) is not nn.Linear or not is_available():
        return layer
    return times(layer.weight, layer.bias, rows)


class Mlp(NamedTuple):
    """The layers of a transformer's MLP, with the norm before it."""

    norm: nn.Module
    widen: nn.Linear
    activation: nn.Module
    narrow: nn.Linear


def finished(before: Tensor, mixed: Tensor, project: nn.Linear, mlp: Mlp) -> Tensor:
    """Do what a block of a transformer does after attention, few tokens at a time, for :func:`is_plain` ones.

    Args:
        before: (..., D), the tokens that the block adds to.
        mixed: (..., C), what attention made of them, before its last layer.
        project: the last layer of attention, from C to D.
        mlp: of the block.

    Returns:
        (..., D), in memory of its own.
    """
    mix, widen, narrow = (packed(layer) for layer in (project, mlp.widen, mlp.narrow))
    found = before.new_empty(before.shape)  # contiguous, so that its parts are parts of it
    parts = (tensor.reshape(-1, tensor.shape[-1]).split(ROWS) for tensor in (before, mixed, found))
    for start, tokens, after in zip(*parts, strict=True):
        torch.add(start, mix(tokens), out=after)
        after += narrow(mlp.activation(widen(mlp.norm(after))))
    return found


def times(weight: Tensor, bias: Tensor | None, rows: int) -> Callable[[Tensor], Tensor]:
    """Return the function that multiplies rows (n, C) with a matrix (D, C), as a linear layer does, where available."""
    arrange, multiply = (_operator(name) for name in _OPERATORS)
    if arrange is None or multiply is None:
        raise RuntimeError("this PyTorch cannot arrange weights for oneDNN")
    known = arrange(weight.detach(), rows)
    added = None if bias is None else bias.detach()
    return lambda tokens: multiply(tokens, known, added, "none", [], "")


def is_available() -> bool:
    """Whether this PyTorch and this processor can do it, and gain by it as far as is known."""
    is_ready = platform.machine().lower() in _MACHINES and torch.backends.mkldnn.is_available()
    return is_ready and None not in map(_operator, _OPERATORS)


def _operator(name: str) -> Callable[..., Tensor] | None:
    return getattr(torch.ops.mkldnn, name, None)
