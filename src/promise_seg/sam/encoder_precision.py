"""SAM's image encoder in lower precision, for speed: half precision, or linear layers with 8 bits on a CPU."""

import copy

import torch
from torch import Tensor, nn

from promise_seg.errors import SettingsError
from promise_seg.sam.packed_layers import ROWS
from promise_seg.vocabulary import EncoderPrecision

DTYPES = {EncoderPrecision.BF16: torch.bfloat16, EncoderPrecision.FP16: torch.float16}
"""The data types of weights and tokens in half precision."""
_LEVELS = 127
_OPTION = "--encoder-precision"


def check_encoder_precision(precision: EncoderPrecision, device: torch.device) -> None:
    """Check that a device can encode in a precision, and gains by it.

    Raises:
        SettingsError: if it does not; the message names precisions that work.
    """
    if precision == EncoderPrecision.INT8 and device.type != "cpu":
        raise SettingsError(f"{_OPTION} {precision}: works only on a CPU, not on {device.type}. Choose bf16 or fp16")
    if precision == EncoderPrecision.FP16 and device.type == "cpu":
        raise SettingsError(f"{_OPTION} {precision}: a CPU gains nothing by it. Choose int8 or bf16")


def lighter(encoder: nn.Module, precision: EncoderPrecision) -> nn.Module:
    """Return a copy of an image encoder in a lower precision; weights that do not change are shared.

    Raises:
        SettingsError: if the precision is ``int8`` and the encoder has no linear layers.
    """
    if precision in DTYPES:
        return copy.deepcopy(encoder).to(DTYPES[precision])
    if not any(isinstance(part, nn.Linear) for part in encoder.modules()):
        raise SettingsError(f"{_OPTION} {precision}: this SAM's encoder has no linear layers. Choose fp32 or bf16")
    return _with_eight_bits(encoder)


def _with_eight_bits(module: nn.Module) -> nn.Module:
    """Return a copy of a module whose linear layers use 8 bits; the weights of other layers are shared."""
    if isinstance(module, nn.Linear):
        return EightBitLinear(module)
    found = copy.copy(module)
    found._modules = {name: part and _with_eight_bits(part) for name, part in module._modules.items()}
    return found


class EightBitLinear(nn.Module):
    """A linear layer whose weights and inputs are rounded to 8 bits, with a separate scale for each row of either.

    Because of the separate scales, the result for a token does not depend on other tokens.

    Args:
        layer: the linear layer to replace.

    Shape: as for the layer, (..., C) to (..., D), in single precision.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = layer.in_features, layer.out_features, layer.bias
        levels, scales = _rounded(layer.weight.detach())
        self._weight, self._scales = levels.T.contiguous(), scales[:, 0]
        self._added = torch.zeros_like(self._scales) if layer.bias is None else layer.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        found = inputs.new_empty(*inputs.shape[:-1], self.out_features)
        parts = (tensor.view(-1, tensor.shape[-1]).split(ROWS) for tensor in (inputs.contiguous(), found))
        for rows, after in zip(*parts, strict=True):
            levels, scales = _rounded(rows)
            after.copy_(torch._int_mm(levels, self._weight)).mul_(scales)
            torch.addcmul(self._added, after, self._scales, out=after)
        return found


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise rows (n, C) to integers from -127 to 127; return them with the scale of each row, (n, 1)."""
    scales = rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny * _LEVELS) / _LEVELS
    return (rows / scales).round_().to(torch.int8), scales
