"""The weights that the auto-prompter ``pretrained`` starts from: trained on drawn scenes, and part of the package.

The file ``scene_weights.md`` next to them describes how they were made, and how good they are.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from promise_seg.storage.tensor_files import load_tensors, save_tensors

SCENE_WEIGHTS = Path(__file__).with_name("scene_weights.safetensors")
_PARTS = ("backbone.", "decoder.")
_LEFT_OUT = ("decoder.from_sam.", "decoder.presence.")  # depend on the SAM, and on images without an object
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of the backbone's norms; training keeps them


def save_scene_weights(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write the weights of an auto-prompter in half precision, for other trainings to start from.

    Args:
        state: trained tensors of a model, by their names (``apm.decoder.out.weight`` ...).
        path: file to write.
    """
    own = {name.removeprefix("apm."): value for name, value in state.items() if name.startswith("apm.")}
    kept = {
        name: value.half().cpu().contiguous()
        for name, value in own.items()
        if name.startswith(_PARTS) and not name.startswith(_LEFT_OUT) and not name.endswith(_STATISTICS)
    }
    save_tensors(Path(path), kept)


def load_scene_weights(apm: nn.Module) -> None:
    """Load the weights of the package into an auto-prompter ``pretrained``; parts without weights stay unchanged."""
    weights = load_tensors(SCENE_WEIGHTS).tensors
    state = apm.state_dict()
    with torch.no_grad():
        apm.load_state_dict(state | {name: value.to(state[name].dtype) for name, value in weights.items()})
