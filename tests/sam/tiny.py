"""Random models of every kind of SAM, small enough to run in milliseconds."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import (
    PreTrainedModel,
    Sam2Config,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
    SamHQConfig,
    SamHQModel,
)

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


TINY: dict[str, Callable[[int], PreTrainedModel]] = {"sam_hq": tiny_sam_hq, "sam2": tiny_sam2}
"""A maker of each kind, by its ``model_type``; it takes a seed."""
