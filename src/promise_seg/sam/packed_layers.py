"""Linear layers on a CPU by oneDNN instead of MKL: the same products, measured to be a quarter faster.

PyTorch includes both, and uses MKL for single precision, which does not use the full speed of AMD processors.
"""

import platform
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROWS = 512
"""The number of rows that pass through a layer at once, so its output is still in the cache for the next layer."""

_MACHINES = {"x86_64", "amd64"}
_OPERATORS = ("_reorder_linear_weight", "_linear_pointwise")
"""The operators that PyTorch's own compiler uses; they are not a public API, so future versions may lack them."""


def is_plain(tokens: Tensor) -> bool:
    """Whether tokens are in single precision on a CPU, without gradients or autocast, and not traced or compiled."""
    return (
        tokens.device.type == "cpu"
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]  # it is documented
        and not torch.compiler.is_compiling()
        and tokens.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def packed(layer: nn.Linear, rows: int = ROWS) -> Callable[[Tensor], Tensor]:
    """Return a faster function for a linear layer on rows (n, C), which must satisfy :func:`is_plain`.

    The weights are copied into another layout, which takes one pass over them. Use the function at once and discard it,
    because it does not follow changes of the layer's weights. The layer itself is returned if PyTorch or the processor
    does not support this.

    Args:
        layer: the linear layer.
        rows: the expected number of rows per call; any number works.
    """
    if type(layer) is not nn.Linear or not is_available():
        return layer
    return times(layer.weight, layer.bias, rows)


class Mlp(NamedTuple):
    """The layers of the MLP of a transformer block, with the norm before it."""

    norm: nn.Module
    widen: nn.Linear
    activation: nn.Module
    narrow: nn.Linear


def finished(before: Tensor, mixed: Tensor, project: nn.Linear, mlp: Mlp) -> Tensor:
    """Run the part of a transformer block after attention, a few tokens at a time; :func:`is_plain` must be true.

    Args:
        before: (..., D), the tokens of the first residual connection.
        mixed: (..., C), the output of attention before its output projection.
        project: the output projection of attention, from C to D.
        mlp: the MLP of the block.

    Returns:
        The output tokens of the block, (..., D), in new memory.
    """
    mix, widen, narrow = (packed(layer) for layer in (project, mlp.widen, mlp.narrow))
    found = before.new_empty(before.shape)  # contiguous, so the splits below are views
    parts = (tensor.reshape(-1, tensor.shape[-1]).split(ROWS) for tensor in (before, mixed, found))
    for start, tokens, after in zip(*parts, strict=True):
        torch.add(start, mix(tokens), out=after)
        after += narrow(mlp.activation(widen(mlp.norm(after))))
    return found


def times(weight: Tensor, bias: Tensor | None, rows: int) -> Callable[[Tensor], Tensor]:
    """Return a function that multiplies rows (n, C) with a matrix (D, C), as a linear layer does.

    Args:
        weight: the matrix, (D, C).
        bias: the bias, (D,); ``None`` for no bias.
        rows: the expected number of rows per call; any number works.

    Raises:
        RuntimeError: if this PyTorch lacks the operators, see :func:`is_available`.
    """
    arrange, multiply = (_operator(name) for name in _OPERATORS)
    if arrange is None or multiply is None:
        raise RuntimeError("this PyTorch cannot arrange weights for oneDNN")
    known = arrange(weight.detach(), rows)
    added = None if bias is None else bias.detach()
    return lambda tokens: multiply(tokens, known, added, "none", [], "")


def is_available() -> bool:
    """Whether this PyTorch and this processor support oneDNN linear layers, and are expected to gain by them."""
    is_ready = platform.machine().lower() in _MACHINES and torch.backends.mkldnn.is_available()
    return is_ready and None not in map(_operator, _OPERATORS)


def _operator(name: str) -> Callable[..., Tensor] | None:
    return getattr(torch.ops.mkldnn, name, None)
