"""Load official SAM checkpoints (such as ``sam_vit_b_01ec64.pth``) as a ``transformers`` model.

The architecture is inferred from the shapes, so ViT-B, ViT-L, ViT-H and models fine-tuned from them (MedSAM) all load.
"""

import re
from collections.abc import Iterable

from torch import Tensor
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from promise_seg.errors import CheckpointError
from promise_seg.sam.pickles import differences
from promise_seg.sam.renaming import Renamings, renamed, renamed_back

OFFICIAL_POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
LIBRARY_POSITIONS = "shared_image_embedding.positional_embedding"
"""The name of the second copy of the position code that the library has."""

_RENAMINGS: Renamings = (
    ("image_encoder.", "vision_encoder."),
    ("vision_encoder.blocks.", "vision_encoder.layers."),
    (".patch_embed.proj.", ".patch_embed.projection."),
    (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
    (".norm3.", ".layer_norm3."),
    (".norm4.", ".layer_norm4."),
    (".norm_final_attn.", ".layer_norm_final_attn."),
    (".neck.0.", ".neck.conv1."),
    (".neck.1.", ".neck.layer_norm1."),
    (".neck.2.", ".neck.conv2."),
    (".neck.3.", ".neck.layer_norm2."),
    (".point_embeddings.", ".point_embed."),
    (".pe_layer.positional_encoding_gaussian_matrix", ".shared_embedding.positional_embedding"),
    (".mask_downscaling.0.", ".mask_embed.conv1."),
    (".mask_downscaling.1.", ".mask_embed.layer_norm1."),
    (".mask_downscaling.3.", ".mask_embed.conv2."),
    (".mask_downscaling.4.", ".mask_embed.layer_norm2."),
    (".mask_downscaling.6.", ".mask_embed.conv3."),
    (".output_upscaling.0.", ".upscale_conv1."),
    (".output_upscaling.1.", ".upscale_layer_norm."),
    (".output_upscaling.3.", ".upscale_conv2."),
    ("iou_prediction_head.layers.0.", "iou_prediction_head.proj_in."),
    ("iou_prediction_head.layers.1.", "iou_prediction_head.layers.0."),
    ("iou_prediction_head.layers.2.", "iou_prediction_head.proj_out."),
    *(
        (f"_mlps.{mask}.layers.{layer}.", f"_mlps.{mask}.{name}.")
        for mask in range(4)
        for layer, name in enumerate(("proj_in", "layers.0", "proj_out"))
    ),
)
ANCHORS = ("image_encoder.pos_embed", "vision_encoder.pos_embed")
"""A parameter that every SAM has, by its name in official files and by that in files of the library."""
HQ_EXTRAS = tuple(
    f"mask_decoder.{name}"
    for name in ("hf_token.", "hf_mlp.", "compress_vit_feat.", "embedding_encoder.", "embedding_maskfeature.")
)


def transformers_name(official: str) -> str:
    """Return the name in a ``SamModel`` for the official name of a parameter."""
    return renamed(official, _RENAMINGS)


def official_name(name: str) -> str:
    """Return the official name of a parameter of a ``SamModel``, the inverse of :func:`transformers_name`."""
    return renamed_back(name, _RENAMINGS)


def config_from_shapes(state: dict[str, Tensor]) -> SamConfig:
    """Infer the config from an official state dict; the decoder's attention always has 8 heads.

    Raises:
        KeyError: if it is not the state dict of a SAM.
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
        num_pos_feats=state[OFFICIAL_POSITIONS].shape[1],
    )
    channels = state["mask_decoder.mask_tokens.weight"].shape[1]
    prompt = SamPromptEncoderConfig(hidden_size=channels, image_size=grid * patch, patch_size=patch)
    decoder = SamMaskDecoderConfig(
        hidden_size=channels,
        mlp_dim=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        iou_head_hidden_dim=state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
    )
    return SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)


def sam_from_state(state: dict[str, Tensor], where: str) -> tuple[SamModel, tuple[str, ...]]:
    """Build a SAM from an official state dict; return it with notes on what was left out.

    The extra parameters of SAM-HQ are left out. SAM-HQ was trained with a frozen SAM, so the other parameters are SAM.

    Raises:
        CheckpointError: if it is not such a state dict; the message names keys that are missing, unexpected or of the
            wrong shape.
    """
    extras = [name for name in state if name.startswith(HQ_EXTRAS)]
    state = {name: v for name, v in state.items() if name not in extras}
    try:
        model = SamModel(config_from_shapes(state))
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{where}: not an official SAM checkpoint ({error} not found). Expected a state dict like that of "
            "sam_vit_b_01ec64.pth, with image_encoder, prompt_encoder and mask_decoder"
        ) from error
    expected = model.state_dict()
    expected_here = {official_name(name): v for name, v in expected.items() if name != LIBRARY_POSITIONS}
    if wrong := differences(state, expected_here):
        adapters = any(".Adapter." in name for name in state)
        hint = " Encoders with adapters (SAM-Med2D) are a different model; use weights without adapters" * adapters
        raise CheckpointError(f"{where}: does not fit a SAM: {wrong}.{hint}")
    converted = {transformers_name(name): v for name, v in state.items()}
    model.load_state_dict(converted | {LIBRARY_POSITIONS: state[OFFICIAL_POSITIONS]})
    return model, hq_note(len(extras))


def hq_note(extras: int) -> tuple[str, ...]:
    """Return a note on how many parameters of SAM-HQ were left out; empty if there were none."""
    return (f"{extras} parameters of SAM-HQ left out: only the SAM inside it is used",) if extras else ()


def sam_names(names: Iterable[str], where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the stored names of a SAM's parameters by their official names, with notes on how names were changed.

    The SAM may be part of another module, such as ``sam.`` in a Lightning module, whose other parts are left out, or
    may use the names of the ``transformers`` library. If there is no encoder, all names are returned unchanged.

    Raises:
        CheckpointError: if there are several SAMs; the message lists their prefixes.
    """
    found, end, notes = under_prefix(names, ANCHORS, where)
    if end == ANCHORS[1]:
        position = found.pop(LIBRARY_POSITIONS, None)  # the second copy, or the only copy in some files
        found = {official_name(name): old for name, old in found.items()}
        if position is not None:
            found.setdefault(OFFICIAL_POSITIONS, position)
        notes += ("names of the transformers library read as the official ones",)
    return found, notes


def under_prefix(
    names: Iterable[str], anchors: Iterable[str], where: str
) -> tuple[dict[str, str], str | None, tuple[str, ...]]:
    """Find the model that has one of the anchors among parameter names with any prefix.

    Returns:
        The stored names by the names without the prefix, the anchor, and notes. If no anchor is found, all names are
        returned unchanged, with ``None`` and no notes.

    Raises:
        CheckpointError: if there are several models; the message lists their prefixes.
    """
    stored = list(names)
    ends = {name.removesuffix(end): end for end in anchors for name in stored if name.endswith(end)}
    if len(ends) > 1:
        prefixes = ", ".join(repr(prefix) for prefix in sorted(ends))
        raise CheckpointError(
            f"{where}: holds {len(ends)} SAMs, under the prefixes {prefixes}. Save the wanted one as a separate file"
        )
    if not ends:
        return {name: name for name in stored}, None, ()
    ((prefix, end),) = ends.items()
    found = {name.removeprefix(prefix): name for name in stored if name.startswith(prefix)}
    if not prefix:
        return found, end, ()
    others = len(stored) - len(found)
    left_out = f", and {others} parameters without it left out" if others else ""
    return found, end, (f"prefix '{prefix}' removed{left_out}",)


def official_state(model: SamModel) -> dict[str, Tensor]:
    """Return the state of a SAM under the official names; the inverse of :func:`sam_from_state`."""
    state = {official_name(name): v for name, v in model.state_dict().items() if name != LIBRARY_POSITIONS}
    return {name: v.detach().cpu().contiguous() for name, v in state.items()}
