"""Use a SAM at another input size than it was trained at, by interpolating its position parameters."""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import SamModel

from promise_seg.errors import SettingsError

_ABSOLUTE = "vision_encoder.pos_embed"
_RELATIVE = (".attn.rel_pos_h", ".attn.rel_pos_w")


def resize(model: SamModel, image_size: int) -> SamModel:
    """Return the same SAM for inputs with a side of ``image_size`` pixels.

    Absolute position embeddings are interpolated bicubically, relative positions of global-attention blocks linearly,
    as SAM itself does where they do not fit; everything else is kept. This costs quality: measure it on ``val`` rows.

    Raises:
        SettingsError: if the size is not a multiple of the patch size, or smaller than an attention window.
    """
    vision = model.config.vision_config
    if image_size == vision.image_size:
        return model
    patch, window = vision.patch_size, vision.window_size
    if image_size % patch or image_size < patch * max(window, 2):
        raise SettingsError(
            f"--image-size {image_size}: expected a multiple of this SAM's patch size {patch}, and at least "
            f"{patch * max(window, 2)}"
        )
    config = copy.deepcopy(model.config)
    config.vision_config.image_size = config.prompt_encoder_config.image_size = image_size
    config.prompt_encoder_config.image_embedding_size = image_size // patch
    resized = SamModel._from_config(config, attn_implementation=model.config._attn_implementation)
    expected = resized.state_dict()
    resized.load_state_dict({name: _fitted(name, v, expected[name]) for name, v in model.state_dict().items()})
    return resized.to(model.device).eval()


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
