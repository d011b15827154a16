"""The image encoders of SAM 2 and its relatives: pixels in, stages and a feature pyramid out.

Each class runs the modules of the library itself, because the library's own forward pass computes unused position codes
of every level, and does not return the stages.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor
from torch.nn import functional as F

from promise_seg.sam.features import stage_blocks
from promise_seg.sam.hiera_blocks import pass_block


class Pyramid(NamedTuple):
    """The outputs of an encoder for B images.

    Shape: ``stages``, four feature maps (B, h_i, w_i, D_i), from early to late; ``levels``, (B, C, 4h, 4w),
        (B, C, 2h, 2w) and (B, C, h, w), from fine to coarse.
    """

    stages: tuple[Tensor, ...]
    levels: tuple[Tensor, Tensor, Tensor]


class Trunk(Protocol):
    """The interface of an image encoder, with the widths of its stages and the number of heads in its last blocks."""

    stage_channels: tuple[int, ...]
    num_heads: int

    def __call__(self, pixels: Tensor) -> Pyramid:
        """Encode normalised images (B, 3, S, S)."""


class Hiera:
    """The encoder of SAM 2: four stages, each with half the resolution and twice the width of the previous stage."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        config = encoder.config.backbone_config
        self.stage_channels: tuple[int, ...] = tuple(config.embed_dim_per_stage)
        self.num_heads: int = config.num_attention_heads_per_stage[-1]

    def __call__(self, pixels: Tensor) -> Pyramid:
        backbone = self._encoder.backbone
        hidden = backbone.patch_embed(pixels)
        hidden = hidden + backbone._get_pos_embed(hidden.shape[1:3])
        stages = []
        for number, block in enumerate(backbone.blocks):
            hidden = pass_block(block, hidden)
            if number in backbone.stage_ends:
                stages.append(hidden)
        return Pyramid(tuple(stages), _top_down(self._encoder.neck, stages))


class Convolutions:
    """The encoder of EdgeTAM: a convolutional network of timm with four stages; heads are those of the decoder."""

    def __init__(self, encoder: Any, decoder_heads: int) -> None:
        self._encoder = encoder
        self.stage_channels: tuple[int, ...] = tuple(reversed(encoder.config.backbone_channel_list))
        self.num_heads = decoder_heads

    def __call__(self, pixels: Tensor) -> Pyramid:
        found = self._encoder.backbone(pixels).last_hidden_state
        stages = tuple(stage.permute(0, 2, 3, 1) for stage in found)
        return Pyramid(stages, _top_down(self._encoder.neck, stages))


class PlainTransformer:
    """The encoder of SAM 3: a transformer of constant width; the levels are computed from its last output only."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        config = encoder.config.backbone_config
        self._stage_blocks = stage_blocks(config.num_hidden_layers)
        self.stage_channels: tuple[int, ...] = (config.hidden_size,) * len(self._stage_blocks)
        self.num_heads: int = config.num_attention_heads

    def __call__(self, pixels: Tensor) -> Pyramid:
        backbone = self._encoder.backbone
        patch = backbone.config.patch_size
        side = (pixels.shape[-2] // patch, pixels.shape[-1] // patch)
        hidden = backbone.layer_norm(backbone.embeddings(pixels).unflatten(1, side))
        stages = []
        for number, block in enumerate(backbone.layers):
            hidden = block(hidden)
            if number in self._stage_blocks:
                stages.append(hidden)
        image = hidden.permute(0, 3, 1, 2)
        finest, fine, coarse = (layer(image) for layer in self._encoder.neck.fpn_layers[:3])
        return Pyramid(tuple(stages), (finest, fine, coarse))


def _top_down(neck: Any, stages: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three finest levels of the pyramid: projected stages, some with the coarser level added."""
    last = len(stages) - 1
    levels: list[Tensor] = []  # from coarse to fine
    for number in range(last, -1, -1):
        level: Tensor = neck.convs[last - number](stages[number].permute(0, 3, 1, 2))
        if levels and number in neck.fpn_top_down_levels:
            level = level + F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
        levels.append(level)
    coarse, fine, finest = levels[-3:]
    return finest, fine, coarse


def on_grid(stage: Tensor, grid: int) -> Tensor:
    """Average-pool a stage (B, h, w, D) to ``grid`` tokens per side; coarser stages are returned unchanged."""
    side = int(stage.shape[1])
    if side <= grid:
        return stage.contiguous()
    image = stage.permute(0, 3, 1, 2)
    divides = side % grid == 0  # then avg_pool2d is equivalent and can be exported
    coarse = F.avg_pool2d(image, side // grid) if divides else F.adaptive_avg_pool2d(image, grid)
    return coarse.permute(0, 2, 3, 1).contiguous()
