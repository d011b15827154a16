"""The built-in nano SAM: the same classes as the large SAMs, but small enough for a CPU.

Its weights were trained from scratch on scenes drawn by this project (``promise pretrain``); see
``nano_model_card.md`` next to this file.
"""

from pathlib import Path

import torch
from torch import nn
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

NANO_WEIGHTS = Path(__file__).with_name("nano_sam.safetensors")

IMAGE_SIZE = 128
_PATCH = 8
_WIDTH = 160
_CHANNELS = 128


def nano_config() -> SamConfig:
    """Return the config: 128 px input, patches of 8 px, twelve blocks of width 160, 4.7 million parameters.

    Only absolute positions are used: with 16 x 16 tokens, relative positions took a third of the time without benefit.
    """
    vision = SamVisionConfig(
        hidden_size=_WIDTH,
        output_channels=_CHANNELS,
        num_hidden_layers=12,
        num_attention_heads=5,
        image_size=IMAGE_SIZE,
        patch_size=_PATCH,
        window_size=8,
        global_attn_indexes=[2, 5, 8, 11],
        mlp_dim=4 * _WIDTH,
        num_pos_feats=_CHANNELS // 2,
        use_rel_pos=False,
    )
    prompt = SamPromptEncoderConfig(hidden_size=_CHANNELS, image_size=IMAGE_SIZE, patch_size=_PATCH)
    decoder = SamMaskDecoderConfig(
        hidden_size=_CHANNELS, mlp_dim=4 * _CHANNELS, num_attention_heads=4, iou_head_hidden_dim=_CHANNELS
    )
    return SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)


def untrained_nano(seed: int = 0) -> SamModel:
    """Return a nano SAM with random weights, initialised here because the library's default spread is 1e-10."""
    torch.manual_seed(seed)
    # On a CPU, plain attention is the library's fastest for 64 and 256 tokens, especially in the backward pass.
    model = SamModel._from_config(nano_config(), attn_implementation="eager")
    initialise(model)
    return model


def initialise(model: SamModel) -> None:
    """Initialise a SAM of any size with random weights from which it can be trained."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            module.weight.data.mul_(0.7)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
    nn.init.normal_(model.vision_encoder.pos_embed, std=0.02)
    nn.init.normal_(model.shared_image_embedding.positional_embedding)
