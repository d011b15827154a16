"""The paper's APM: a ResNet-34 over three stages, pooled to one vector, and a linear layer to all coordinates."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.prompting.apm import PointPrompter, PointsConfig
from promise_seg.sam.features import Features, FeatureSizes
from promise_seg.vocabulary import ApmKind

_LAYERS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels, blocks, stride


class _Strided(nn.Conv2d):
    """A 3x3 convolution whose stride is 1 if its input is a single cell, which gives the same output.

    With a stride of 2, oneDNN does not write the gradient of the weights for such inputs in bfloat16: it has the
    previous content of the memory, often NaN (torch 2.13, on processors with AVX512-BF16).
    """

    def forward(self, x: Tensor) -> Tensor:
        stride = 1 if x.shape[-2:] == (1, 1) else self.stride
        return F.conv2d(x, self.weight, self.bias, stride, self.padding)


class _Norm(nn.BatchNorm2d):
    """A batch norm that normalises a single value per channel, which has no variance, with its running statistics.

    The last stage sees a single cell if SAM's grid has at most 16 cells per side and the batch holds one image, as the
    last batch of an epoch may. Torch refuses to normalise such a value with its own statistics.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == self.num_features:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class _BasicBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1 = _Strided(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = _Norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = _Norm(channels)
        self.shortcut = nn.Sequential()
        if project:
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), _Norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class _FeatureMap(nn.Module):
    """Fuse blocks 12, 9 and 6, stacked in that order, to 256 channels."""

    def __init__(self, channels_in: int, channels: int = 256) -> None:
        super().__init__()
        self.fusion_conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.fusion_conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.fusion_conv3 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fusion_conv3(F.relu(self.fusion_conv2(F.relu(self.fusion_conv1(x)))))
        return out


class _Resnet34(nn.Module):
    def __init__(self, channels_in: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, 64, 3, 1, 1, bias=False)
        self.bn1 = _Norm(64)
        width = 64
        for number, (channels, blocks, stride) in enumerate(_LAYERS, start=1):
            layer = []
            for i in range(blocks):
                last_of_all = number == len(_LAYERS) and i == blocks - 1  # projected needlessly, as in the reference
                first = i == 0 and (stride != 1 or width != channels)
                layer.append(_BasicBlock(width, channels, stride if i == 0 else 1, first or last_of_all))
                width = channels
            setattr(self, f"layer{number}", nn.Sequential(*layer))
        self.fc = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(1, len(_LAYERS) + 1):
            x = getattr(self, f"layer{number}")(x)
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


class ResnetPrompter(PointPrompter):
    """APM ``resnet``, as published.

    Shape: of the features, only stages 2, 3, 4 (blocks 6, 9, 12 of 12) are read; for ViT-B they stack to
        (B, 2304, 64, 64).
    Source: ProMISe reference: ``apm_feature_map`` and ``apm_resnet``, whose parameter names are kept. Ours differs: no
        hard-coded device or size, and no head ``fc2``, which the reference has but never uses.
    """

    stages_read = (1, 2, 3)

    def __init__(self, stage_channels: Sequence[int], side: int, num_points: int, num_foreground: int) -> None:
        super().__init__(num_points, num_foreground)
        self.side = side
        self.feature_map = _FeatureMap(sum(stage_channels[1:]))
        self.resnet = _Resnet34(256, 2 * num_points)

    def locate(self, features: Features) -> tuple[Tensor, Tensor | None]:
        stages = [features.stage(number).permute(0, 3, 1, 2).contiguous() for number in (3, 2, 1)]
        late_to_early = torch.cat(stages, 1)
        coordinates = self.resnet(self.feature_map(late_to_early))
        return torch.sigmoid(coordinates).unflatten(1, (self.num_points, 2)) * self.side, None


class ResnetConfig(PointsConfig):
    """Config of the APM ``resnet``, which has no options."""

    kind: Literal[ApmKind.RESNET] = ApmKind.RESNET

    def build(self, sizes: FeatureSizes) -> ResnetPrompter:
        return ResnetPrompter(sizes.stage_channels, sizes.side, self.num_points, self.num_foreground)
