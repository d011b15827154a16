"""Random models of every kind of SAM, small enough to run in milliseconds."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    EdgeTamConfig,
    EdgeTamModel,
    EdgeTamVisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Sam2Config,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3VisionConfig,
    SamHQConfig,
    SamHQModel,
)
from transformers.modeling_outputs import BaseModelOutput

from promise_seg.sam.sam2_official import HieraSize
from tests.helpers import tiny_config

SIDE = 64
TINY_HIERA = HieraSize(
    name="tiny for tests", width=8, blocks=(1, 2, 3, 1), heads=1, global_blocks=(4,), windows=(4, 2, 2, 1)
)
_CHANNELS = 16
_WIDTHS = [8, 16, 32, 64]


def randomise(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Give every parameter and buffer of a position code values that let all parts have a say."""
    generator = torch.Generator().manual_seed(seed)
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, value in sorted(state.items()):
        if not value.is_floating_point() or name.endswith("running_var"):
            continue
        drawn = torch.randn(value.shape, generator=generator)
        if value.ndim == 1:
            drawn = 0.1 * drawn + float(name.endswith("weight"))
        elif value.ndim > 1 and not any(word in name for word in ("embed", "token")):
            drawn = drawn * 1.5 / value[0].numel() ** 0.5
        value.data.copy_(drawn)
    shared = getattr(model, "shared_image_embedding", None)
    if isinstance(shared, nn.Module):  # the code of positions, which the library holds twice
        model.prompt_encoder.shared_embedding.positional_embedding.data.copy_(shared.positional_embedding)
    return model.eval()


def tiny_prompt_and_decoder(side: int = SIDE, patch: int = 16) -> dict[str, dict[str, object]]:
    """The configs of prompt encoder and decoder that all relatives of SAM 2 share."""
    prompt = Sam2PromptEncoderConfig(hidden_size=_CHANNELS, image_size=side, patch_size=patch)
    decoder = Sam2MaskDecoderConfig(
        hidden_size=_CHANNELS, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=_CHANNELS
    )
    configs = {"prompt_encoder_config": prompt, "mask_decoder_config": decoder}
    return {name: {k: v for k, v in one.to_dict().items() if k != "model_type"} for name, one in configs.items()}


def tiny_sam2(seed: int = 0) -> PreTrainedModel:
    """SAM 2, its encoder of the size :data:`TINY_HIERA`."""
    size = TINY_HIERA
    vision = Sam2VisionConfig(
        backbone_config={
            "model_type": "sam2_hiera_det_model", "hidden_size": size.width, "num_attention_heads": size.heads,
            "image_size": [SIDE, SIDE], "blocks_per_stage": list(size.blocks), "embed_dim_per_stage": _WIDTHS,
            "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": list(size.windows),
            "global_attention_blocks": list(size.global_blocks),
            "window_positional_embedding_background_size": [3, 3],
        },
        backbone_channel_list=_WIDTHS[::-1], backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=_CHANNELS,
    )  # fmt: skip
    return randomise(Sam2Model(Sam2Config(vision_config=vision, **tiny_prompt_and_decoder())), seed)


def tiny_sam_hq(seed: int = 0) -> PreTrainedModel:
    """SAM-HQ of the size of the tiny SAM."""
    plain = tiny_config()
    values = {
        name: {k: v for k, v in getattr(plain, name).to_dict().items() if k != "model_type"}
        for name in ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    }
    values["mask_decoder_config"]["vit_dim"] = plain.vision_config.hidden_size
    return randomise(SamHQModel(SamHQConfig(**values)), seed)


class TinyConvolutionsConfig(PreTrainedConfig):
    """A stand-in for timm's networks, which need torchvision."""

    model_type = "tiny_convolutions_for_tests"


class TinyConvolutions(PreTrainedModel):
    """Four stages of convolutions with batch norms, as the library wraps a network of timm."""

    config_class = TinyConvolutionsConfig
    _supports_sdpa = True

    def __init__(self, config: TinyConvolutionsConfig) -> None:
        super().__init__(config)
        inputs = [3, *_WIDTHS[:-1]]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.GELU())
            for before, after in zip(inputs, _WIDTHS, strict=True)
        )
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: object) -> BaseModelOutput:
        hidden, maps = nn.functional.avg_pool2d(pixel_values, 2), []
        for stage in self.stages:
            hidden = stage(hidden)
            maps.append(hidden)
        return BaseModelOutput(last_hidden_state=maps)


AutoConfig.register(TinyConvolutionsConfig.model_type, TinyConvolutionsConfig, exist_ok=True)
AutoModel.register(TinyConvolutionsConfig, TinyConvolutions, exist_ok=True)


def tiny_edgetam(seed: int = 0) -> PreTrainedModel:
    """EdgeTAM, its encoder exchanged for :class:`TinyConvolutions`."""
    vision = EdgeTamVisionConfig(
        backbone_config=TinyConvolutionsConfig(), backbone_channel_list=_WIDTHS[::-1],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]], fpn_hidden_size=_CHANNELS,
    )  # fmt: skip
    return randomise(EdgeTamModel(EdgeTamConfig(vision_config=vision, **tiny_prompt_and_decoder())), seed)


def tiny_sam3_tracker(seed: int = 0) -> PreTrainedModel:
    """The tracker of SAM 3, for images of 56 px and patches of 14 px."""
    vision = Sam3VisionConfig(
        backbone_config={
            "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
            "num_attention_heads": 4, "image_size": 56, "patch_size": 14, "window_size": 2,
            "global_attn_indexes": [1, 3], "pretrain_image_size": 28,
        },
        fpn_hidden_size=_CHANNELS, backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]], scale_factors=[4.0, 2.0, 1.0],
    )  # fmt: skip
    config = Sam3TrackerConfig(vision_config=vision, **tiny_prompt_and_decoder(56, 14))
    return randomise(Sam3TrackerModel(config), seed)


TINY: dict[str, Callable[[int], PreTrainedModel]] = {
    "sam_hq": tiny_sam_hq,
    "sam2": tiny_sam2,
    "edgetam": tiny_edgetam,
    "sam3_tracker": tiny_sam3_tracker,
}
"""A maker of each kind, by its ``model_type``; it takes a seed."""
