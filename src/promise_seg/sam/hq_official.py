"""Load official files of SAM-HQ (such as ``sam_hq_vit_b.pth``) as a ``transformers`` model."""

import torch
from torch import Tensor
from transformers import SamHQConfig, SamHQMaskDecoderConfig, SamHQModel, SamHQVisionConfig

from promise_seg.errors import CheckpointError
from promise_seg.sam.official import (
    LIBRARY_POSITIONS,
    OFFICIAL_POSITIONS,
    config_from_shapes,
    official_name,
    transformers_name,
)
from promise_seg.sam.pickles import differences
from promise_seg.sam.renaming import renamed, renamed_back

_RENAMINGS = (
    (".hf_token.", ".hq_token."),
    (".hf_mlp.layers.0.", ".hq_mask_mlp.proj_in."),
    (".hf_mlp.layers.1.", ".hq_mask_mlp.layers.0."),
    (".hf_mlp.layers.2.", ".hq_mask_mlp.proj_out."),
    (".compress_vit_feat.0.", ".compress_vit_conv1."),
    (".compress_vit_feat.1.", ".compress_vit_norm."),
    (".compress_vit_feat.3.", ".compress_vit_conv2."),
    (".embedding_encoder.0.", ".encoder_conv1."),
    (".embedding_encoder.1.", ".encoder_norm."),
    (".embedding_encoder.3.", ".encoder_conv2."),
    (".embedding_maskfeature.0.", ".mask_conv1."),
    (".embedding_maskfeature.1.", ".mask_norm."),
    (".embedding_maskfeature.3.", ".mask_conv2."),
)
"""Pairs of official and library names for the parts that SAM-HQ adds."""


def hq_name(official: str) -> str:
    """Return the name in a ``SamHQModel`` for the official name of a parameter."""
    return transformers_name(renamed(official, _RENAMINGS))


def official_hq_name(name: str) -> str:
    """Return the official name of a parameter of a ``SamHQModel``, the inverse of :func:`hq_name`."""
    return official_name(renamed_back(name, _RENAMINGS))


def hq_from_state(state: dict[str, Tensor], where: str) -> SamHQModel:
    """Build a SAM-HQ from an official state dict.

    Raises:
        CheckpointError: if it is not such a state dict; the message names keys that are missing, unexpected or of the
            wrong shape.
    """
    try:
        plain = config_from_shapes(state)
        vit_dim = state["mask_decoder.compress_vit_feat.0.weight"].shape[0]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{where}: not an official SAM-HQ checkpoint that can be read ({error} not found). Expected a state dict "
            "like that of sam_hq_vit_b.pth; the light SAM-HQ, ViT-tiny, has another encoder"
        ) from error
    config = SamHQConfig(
        vision_config=SamHQVisionConfig(**_values(plain.vision_config)),
        prompt_encoder_config=_values(plain.prompt_encoder_config),
        mask_decoder_config=SamHQMaskDecoderConfig(**_values(plain.mask_decoder_config), vit_dim=vit_dim),
    )
    with torch.device("meta"):
        expected = SamHQModel(config).state_dict()
    if wrong := differences(state, {official_hq_name(k): v for k, v in expected.items() if k != LIBRARY_POSITIONS}):
        raise CheckpointError(f"{where}: does not fit a SAM-HQ: {wrong}")
    model = SamHQModel(config)
    model.load_state_dict({hq_name(k): v for k, v in state.items()} | {LIBRARY_POSITIONS: state[OFFICIAL_POSITIONS]})
    return model


def _values(config: object) -> dict[str, object]:
    values: dict[str, object] = config.to_dict()  # type: ignore[attr-defined]
    return {name: value for name, value in values.items() if name != "model_type"}
