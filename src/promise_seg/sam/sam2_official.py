"""Load official files of SAM 2 and 2.1 (such as ``sam2.1_hiera_tiny.pt``) as a ``transformers`` model for images.

The files hold a model for videos; only its image encoder, prompt encoder and mask decoder are used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Sam2Config, Sam2MaskDecoderConfig, Sam2Model, Sam2PromptEncoderConfig, Sam2VisionConfig

from promise_seg.errors import CheckpointError
from promise_seg.sam.pickles import differences
from promise_seg.sam.renaming import Renamings, renamed, renamed_back

_TRUNK = "image_encoder.trunk."
_BACKGROUND = f"{_TRUNK}pos_embed"
_POSITIONS = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_POINTS = "sam_prompt_encoder.point_embeddings."
_LIBRARY_POINTS = "prompt_encoder.point_embed.weight"
_POINT_KINDS = 4  # background, foreground, the two corners of a box
_LIBRARY_POSITIONS = "shared_image_embedding.positional_embedding"

_VIDEO_PARTS = (
    "maskmem_tpos_enc",
    "no_mem_pos_enc",
    "no_obj_ptr",
    "no_obj_embed_spatial",
    "mask_downsample.",
    "memory_attention.",
    "memory_encoder.",
    "obj_ptr_proj.",
    "obj_ptr_tpos_proj.",
)
_ONLY_IN_2_1 = ("no_obj_embed_spatial", "obj_ptr_tpos_proj")
"""The parts, for videos, that a file of SAM 2.1 has, but not one of SAM 2.0."""
_LIBRARY_VIDEO_PARTS = (
    "memory_",
    "mask_downsample.",
    "object_pointer_proj.",
    "temporal_positional_encoding_projection_layer.",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
    "spatial_perceiver.",
)

_RENAMINGS: Renamings = (
    ("image_encoder.trunk.", "vision_encoder.backbone."),
    ("image_encoder.neck.convs.0.conv.", "vision_encoder.neck.convs.0."),
    ("image_encoder.neck.convs.1.conv.", "vision_encoder.neck.convs.1."),
    ("image_encoder.neck.convs.2.conv.", "vision_encoder.neck.convs.2."),
    ("image_encoder.neck.convs.3.conv.", "vision_encoder.neck.convs.3."),
    ("sam_prompt_encoder.", "prompt_encoder."),
    ("sam_mask_decoder.", "mask_decoder."),
    ("no_mem_embed", "no_memory_embedding"),
    (".patch_embed.proj.", ".patch_embed.projection."),
    (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
    (".norm3.", ".layer_norm3."),
    (".norm4.", ".layer_norm4."),
    (".norm_final_attn.", ".layer_norm_final_attn."),
    (".out_proj.", ".o_proj."),
    (".mlp.layers.0.", ".mlp.proj_in."),
    (".mlp.layers.1.", ".mlp.proj_out."),
    *(
        (f"{part}.layers.{layer}.", f"{part}.{name}.")
        for part in ("_mlps.0", "_mlps.1", "_mlps.2", "_mlps.3", "iou_prediction_head", "pred_obj_score_head")
        for layer, name in enumerate(("proj_in", "layers.0", "proj_out"))
    ),
    (".output_upscaling.0.", ".upscale_conv1."),
    (".output_upscaling.1.", ".upscale_layer_norm."),
    (".output_upscaling.3.", ".upscale_conv2."),
    (".mask_downscaling.0.", ".mask_embed.conv1."),
    (".mask_downscaling.1.", ".mask_embed.layer_norm1."),
    (".mask_downscaling.3.", ".mask_embed.conv2."),
    (".mask_downscaling.4.", ".mask_embed.layer_norm2."),
    (".mask_downscaling.6.", ".mask_embed.conv3."),
    (".pe_layer.positional_encoding_gaussian_matrix", ".shared_embedding.positional_embedding"),
)


@dataclass(frozen=True, kw_only=True)
class HieraSize:
    """The hyperparameters of a published size of the encoder.

    ``width`` (of the first stage) and ``blocks`` (per stage) can be inferred from the shapes of parameters, and
    identify the size. The attention ``heads`` of the first stage, ``global_blocks`` and ``windows`` cannot.
    """

    name: str
    width: int
    blocks: tuple[int, ...]
    heads: int
    global_blocks: tuple[int, ...]
    windows: tuple[int, ...] = (8, 4, 14, 7)


HIERA_SIZES: tuple[HieraSize, ...] = (
    HieraSize(name="tiny", width=96, blocks=(1, 2, 7, 2), heads=1, global_blocks=(5, 7, 9)),
    HieraSize(name="small", width=96, blocks=(1, 2, 11, 2), heads=1, global_blocks=(7, 10, 13)),
    HieraSize(name="base-plus", width=112, blocks=(2, 3, 16, 3), heads=2, global_blocks=(12, 16, 20)),
    HieraSize(
        name="large", width=144, blocks=(2, 6, 36, 4), heads=2, global_blocks=(23, 33, 43), windows=(8, 4, 16, 8)
    ),
)
"""The published sizes. Source: the configs of https://github.com/facebookresearch/sam2."""


def sam2_name(official: str) -> str:
    """Return the name in a ``Sam2Model`` for the official name of a parameter."""
    return renamed(official, _RENAMINGS)


def official_sam2_name(name: str) -> str:
    """Return the official name of a parameter of a ``Sam2Model``, the inverse of :func:`sam2_name`."""
    return renamed_back(name, _RENAMINGS)


def is_video_part(name: str) -> bool:
    """Whether a parameter, by its official name or that of the library, is used only for videos."""
    return name.startswith(_VIDEO_PARTS + _LIBRARY_VIDEO_PARTS)


def sam2_config_from_shapes(state: Mapping[str, Tensor], where: str) -> Sam2Config:
    """Infer the config from an official state dict, for the input size of 1024 px.

    Raises:
        CheckpointError: if the size of the encoder is not one of :data:`HIERA_SIZES`.
        KeyError: if it is not the state dict of a SAM 2.
    """
    width = state[f"{_TRUNK}patch_embed.proj.weight"].shape[0]
    widths = _block_widths(state)
    starts = [i for i, found in enumerate(widths) if i == 0 or found != widths[i - 1]]
    blocks = tuple(end - start for start, end in zip(starts, [*starts[1:], len(widths)], strict=True))
    size = next((one for one in HIERA_SIZES if (one.width, one.blocks) == (width, blocks)), None)
    if size is None:
        known = ", ".join(f"{one.name} ({one.width}, {'/'.join(map(str, one.blocks))})" for one in HIERA_SIZES)
        raise CheckpointError(
            f"{where}: not a size of SAM 2 that was published: its encoder has width {width} and "
            f"{'/'.join(map(str, blocks))} blocks; expected one of {known}"
        )
    stage_widths = [widths[start] for start in starts]
    vision = Sam2VisionConfig(
        backbone_config={
            "model_type": "sam2_hiera_det_model",
            "hidden_size": width,
            "num_attention_heads": size.heads,
            "blocks_per_stage": list(blocks),
            "embed_dim_per_stage": stage_widths,
            "num_attention_heads_per_stage": [size.heads * 2**i for i in range(len(blocks))],
            "window_size_per_stage": list(size.windows),
            "global_attention_blocks": list(size.global_blocks),
            "window_positional_embedding_background_size": list(state[_BACKGROUND].shape[-2:]),
        },
        backbone_channel_list=stage_widths[::-1],
        fpn_hidden_size=state["image_encoder.neck.convs.0.conv.weight"].shape[0],
    )
    channels = state["sam_mask_decoder.mask_tokens.weight"].shape[1]
    decoder = Sam2MaskDecoderConfig(
        hidden_size=channels,
        mlp_dim=state["sam_mask_decoder.transformer.layers.0.mlp.layers.0.weight"].shape[0],
        iou_head_hidden_dim=state["sam_mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        dynamic_multimask_via_stability=False,
    )
    prompt = Sam2PromptEncoderConfig(hidden_size=channels)
    return Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)


def _block_widths(state: Mapping[str, Tensor]) -> list[int]:
    """Return the output width of each block."""
    widths: list[int] = []
    while (name := f"{_TRUNK}blocks.{len(widths)}.attn.proj.weight") in state:
        widths.append(state[name].shape[0])
    return widths


def sam2_from_state(state: Mapping[str, Tensor], where: str) -> tuple[Sam2Model, tuple[str, ...]]:
    """Build a SAM 2 for images from an official state dict; return it with notes on its version and omitted parts.

    Raises:
        CheckpointError: if it is not such a state dict; the message names keys that are missing, unexpected or of the
            wrong shape.
    """
    video = [name for name in state if is_video_part(name)]
    of_images = {name: value for name, value in state.items() if name not in video}
    try:
        config = sam2_config_from_shapes(of_images, where)
    except KeyError as error:
        raise CheckpointError(
            f"{where}: not an official SAM 2 checkpoint ({error} not found). Expected a state dict like that of "
            "sam2.1_hiera_tiny.pt, with image_encoder, sam_prompt_encoder and sam_mask_decoder"
        ) from error
    with torch.device("meta"):
        expected = official_sam2_state(Sam2Model(config))
    if wrong := differences(of_images, expected):
        raise CheckpointError(f"{where}: does not fit a SAM 2: {wrong}")
    points = [of_images[f"{_POINTS}{number}.weight"] for number in range(_POINT_KINDS)]
    found = {sam2_name(name): value for name, value in of_images.items() if not name.startswith(_POINTS)}
    model = Sam2Model(config)
    model.load_state_dict(found | {_LIBRARY_POINTS: torch.cat(points), _LIBRARY_POSITIONS: of_images[_POSITIONS]})
    return model, _notes(video)


def official_sam2_state(model: Sam2Model) -> dict[str, Tensor]:
    """Return the state of a SAM 2 for images under the official names; the inverse of :func:`sam2_from_state`."""
    state = model.state_dict()
    del state[_LIBRARY_POSITIONS]
    points = state.pop(_LIBRARY_POINTS)
    named = {official_sam2_name(name): value for name, value in state.items()}
    return named | {f"{_POINTS}{number}.weight": points[number : number + 1] for number in range(_POINT_KINDS)}


def _notes(video: list[str]) -> tuple[str, ...]:
    if not video:
        return ()
    missing = [part for part in _ONLY_IN_2_1 if not any(name.startswith(part) for name in video)]
    left_out = f"{len(video)} parameters for videos left out"
    if missing == list(_ONLY_IN_2_1):
        return (
            f"SAM 2.0, as it has no {' and no '.join(missing)}, which SAM 2.1 has; both are for videos, so that it is "
            f"used for images as it is. {left_out}",
        )
    return (left_out,)


def check_not_video_only(names: Iterable[str], where: str) -> None:
    """Check that a file does not hold only the memory of a SAM 2 for videos, without the parts that segment an image.

    Raises:
        CheckpointError: if it does; the message names the parts in the file.
    """
    stored = list(names)
    if stored and all(is_video_part(name) for name in stored):
        parts = ", ".join(sorted({name.split(".")[0] for name in stored}))
        raise CheckpointError(
            f"{where}: holds only the parts of a SAM 2 that follow objects through videos ({parts}); expected those "
            "that segment an image too: image_encoder, sam_prompt_encoder and sam_mask_decoder. Give the whole "
            "checkpoint, such as sam2.1_hiera_tiny.pt"
        )
