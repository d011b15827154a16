"""Use a SAM at a different input size than in training, by interpolating its position parameters."""

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from promise_seg.bounds import LARGEST_INPUT_SIDE
from promise_seg.errors import SettingsError

Model = TypeVar("Model", bound=PreTrainedModel)

_ABSOLUTE = "vision_encoder.pos_embed"
_RELATIVE = (".attn.rel_pos_h", ".attn.rel_pos_w")


def resize(model: Model, image_size: int) -> Model:
    """Return the same SAM, of any kind, for inputs with a side of ``image_size`` pixels.

    Quality decreases at another size, so measure it on ``val`` rows.

    Raises:
        SettingsError: if the SAM cannot be used at that size; the message names the possible sizes.
    """
    if image_size == model.config.prompt_encoder_config.image_size:
        return model
    if image_size > LARGEST_INPUT_SIDE:
        raise SettingsError(
            f"--image-size {image_size}: expected at most {LARGEST_INPUT_SIDE} pixels, for the sake of memory. Divide "
            "larger images by --tile"
        )
    if type(model).__name__ in ("SamModel", "SamHQModel"):
        return _resize_sam(model, image_size)
    return _resize_sam2(model, image_size)


def _resize_sam(model: Model, image_size: int) -> Model:
    """Return the same SAM, or SAM-HQ, for another size, with interpolated position parameters.

    Absolute position embeddings are interpolated bicubically, and relative positions of global-attention blocks
    linearly, as SAM itself does if they do not fit. Everything else is kept.

    Raises:
        SettingsError: if the size is not a multiple of the patch size, or smaller than an attention window.
    """
    vision = model.config.vision_config
    patch, window = vision.patch_size, vision.window_size
    if image_size % patch or image_size < patch * max(window, 2):
        raise SettingsError(
            f"--image-size {image_size}: expected a multiple of this SAM's patch size {patch}, and at least "
            f"{patch * max(window, 2)}"
        )
    config = copy.deepcopy(model.config)
    config.vision_config.image_size = config.prompt_encoder_config.image_size = image_size
    config.prompt_encoder_config.image_embedding_size = image_size // patch
    resized = type(model)._from_config(config, attn_implementation=model.config._attn_implementation)
    expected = resized.state_dict()
    resized.load_state_dict({name: _fitted(name, v, expected[name]) for name, v in model.state_dict().items()})
    return resized.to(model.device).eval()


def _resize_sam2(model: Model, image_size: int) -> Model:
    """Return the same SAM 2, or relative, for another size; its encoder interpolates positions itself at any size.

    Raises:
        SettingsError: if the stages and windows do not divide the size, or the model (SAM 3) supports only one size.
    """
    if type(model).__name__ == "Sam3TrackerModel":
        side = model.config.prompt_encoder_config.image_size
        raise SettingsError(f"--image-size {image_size}: a SAM 3 takes images of {side} px alone; leave it out")
    unit = _unit_of_sam2(model)
    if image_size < 2 * unit or image_size % unit:
        raise SettingsError(
            f"--image-size {image_size}: expected a multiple of {unit} for this SAM, and at least {2 * unit}"
        )
    config = copy.deepcopy(model.config)
    grid = image_size // config.prompt_encoder_config.patch_size
    config.prompt_encoder_config.image_size = image_size
    config.vision_config.backbone_feature_sizes = [[grid * factor] * 2 for factor in (4, 2, 1)]
    resized = type(model)._from_config(config, attn_implementation=model.config._attn_implementation)
    resized.load_state_dict(model.state_dict())
    return resized.to(model.device).eval()


def _unit_of_sam2(model: PreTrainedModel) -> int:
    """Return the unit, in pixels, of which input sizes must be multiples.

    It is the least common multiple of a cell of the last stage and, for SAM 2, a window of the first stage.
    """
    cell = 2 * int(model.config.prompt_encoder_config.patch_size)
    if type(model).__name__ != "Sam2Model":
        return cell
    backbone = model.config.vision_config.backbone_config
    return math.lcm(cell, backbone.patch_stride[0] * backbone.window_size_per_stage[0])


@torch.no_grad()
def _fitted(name: str, value: Tensor, expected: Tensor) -> Tensor:
    if value.shape == expected.shape:
        return value
    if name == _ABSOLUTE:  # (1, g, g, D)
        size = expected.shape[1:3]
        return F.interpolate(value.permute(0, 3, 1, 2), size, mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    if name.endswith(_RELATIVE):  # (2 g - 1, d)
        return F.interpolate(value.T[None], expected.shape[0], mode="linear", align_corners=False)[0].T
    raise ValueError(f"{name}: {tuple(value.shape)} cannot become {tuple(expected.shape)}")
