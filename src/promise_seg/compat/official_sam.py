"""Official SAM checkpoints (``sam_vit_b_01ec64.pth`` and the like) as a ``transformers`` model.

The architecture is read off the shapes, so ViT-B, ViT-L, ViT-H and models fine-tuned from them (MedSAM) all load.
"""

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor
from transformers import SamConfig, SamModel, SamVisionConfig

from promise_seg.errors import CheckpointError

_POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"

# (pattern in the official name, its replacement), applied one after the other
_RENAMINGS: tuple[tuple[str, str], ...] = (
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.blocks\.", ".layers."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
    (r"\.norm(\d|_final)", r".layer_norm\1"),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"(_mlps\.\d+|iou_prediction_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(_mlps\.\d+|iou_prediction_head)\.layers\.1\.", r"\1.layers.0."),
    (r"(_mlps\.\d+|iou_prediction_head)\.layers\.2\.", r"\1.proj_out."),
)


def transformers_name(official: str) -> str:
    """Name in a ``SamModel`` of a parameter of the official implementation."""
    for pattern, replacement in _RENAMINGS:
        official = re.sub(pattern, replacement, official)
    return official


def config_from_shapes(state: dict[str, Tensor]) -> SamConfig:
    """The architecture of an official state dict.

    Raises:
        KeyError: if it is not one of a SAM.
    """
    _, grid, _, width = state["image_encoder.pos_embed"].shape
    patch = state["image_encoder.patch_embed.proj.weight"].shape[-1]
    depth = 1 + max(int(m[1]) for k in state if (m := re.match(r"image_encoder\.blocks\.(\d+)\.", k)))
    reach = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]  # (2 * window - 1, head)
    windows = [(positions + 1) // 2 for positions, _ in reach]
    local = [w for w in windows if w != grid]
    vision = SamVisionConfig(
        hidden_size=width,
        output_channels=state["image_encoder.neck.0.weight"].shape[0],
        num_hidden_layers=depth,
        num_attention_heads=width // reach[0][1],
        image_size=grid * patch,
        patch_size=patch,
        window_size=local[0] if local else 0,
        global_attn_indexes=[i for i, w in enumerate(windows) if w == grid],
        mlp_dim=state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
    )
    return SamConfig(vision_config=vision)


def convert_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict; the position code, which the library holds twice, is given twice."""
    renamed = {transformers_name(name): tensor for name, tensor in state.items()}
    renamed["shared_image_embedding.positional_embedding"] = state[_POSITIONS]
    return renamed


def load_official_sam(path: str | Path) -> SamModel:
    """Read an official ``.pth`` file, with the restricted unpickler that admits tensors only.

    Raises:
        CheckpointError: if the file cannot be read, or has other parameters than a SAM.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read as a SAM checkpoint: {reason}") from error
    try:
        model = SamModel(config_from_shapes(state))
        converted = convert_state(state)
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not an official SAM checkpoint ({error} not found). Expected a state dict like that of "
            "sam_vit_b_01ec64.pth, with image_encoder, prompt_encoder and mask_decoder."
        ) from error
    expected = model.state_dict()
    missing = sorted(expected.keys() - converted.keys())
    unexpected = sorted(converted.keys() - expected.keys())
    if missing or unexpected:
        raise CheckpointError(f"{path}: missing keys: {missing or 'none'}; unexpected keys: {unexpected or 'none'}")
    model.load_state_dict(converted)
    return model
