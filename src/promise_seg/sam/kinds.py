"""The kinds of SAM: which class of ``transformers`` each is, and the backbone that it becomes."""

import importlib
from dataclasses import dataclass

from transformers import PreTrainedModel, SamModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.frozen import FrozenSam


@dataclass(frozen=True)
class SamKind:
    """One kind of SAM, by its class in ``transformers``, with a folder or hub name that is an example of it."""

    class_name: str
    example: str


_SAM2 = SamKind("Sam2Model", "facebook/sam2.1-hiera-tiny")
_EDGETAM = SamKind("EdgeTamModel", "yonigozlan/EdgeTAM-hf")
_SAM3_TRACKER = SamKind("Sam3TrackerModel", "facebook/sam3")

KINDS: dict[str, SamKind] = {
    "sam": SamKind("SamModel", "facebook/sam-vit-base"),
    "sam_hq": SamKind("SamHQModel", "syscv-community/sam-hq-vit-base"),
    "sam2": _SAM2,
    "sam2_video": _SAM2,
    "edgetam": _EDGETAM,
    "edgetam_video": _EDGETAM,
    "sam3_tracker": _SAM3_TRACKER,
    "sam3_tracker_video": _SAM3_TRACKER,
    "sam3_video": _SAM3_TRACKER,
}
"""The kinds by the ``model_type`` of their ``config.json``. Of models for videos, the parts for images are used."""


def model_class(model_type: str, where: str) -> type[PreTrainedModel]:
    """Return the class of ``transformers`` for a ``model_type``.

    Raises:
        CheckpointError: if it is of no kind of SAM, or the installed library is too old for it.
    """
    if model_type not in KINDS:
        known = ", ".join(f"{name} (as {kind.example})" for name, kind in KINDS.items() if not name.endswith("_video"))
        raise CheckpointError(f"{where}: is a model of type {model_type!r}; expected one of {known}")
    name = KINDS[model_type].class_name
    found: type[PreTrainedModel] | None = getattr(importlib.import_module("transformers"), name, None)
    if found is None:
        raise CheckpointError(
            f"{where}: needs {name}, which the installed transformers lacks. Install a newer one: "
            "pip install -U 'transformers<6'"
        )
    return found


def freeze(
    model: PreTrainedModel,
    name: str,
    sha256: str | None = None,
    notes: tuple[str, ...] = (),
    trained_at: int | None = None,
) -> Backbone:
    """Return a model of any kind behind the contract of a backbone; arguments are those of :class:`FrozenSam`."""
    if isinstance(model, SamModel):
        return FrozenSam(model, name, sha256, notes, trained_at)
    if type(model).__name__ == "SamHQModel":
        from promise_seg.sam.frozen_hq import FrozenSamHq

        return FrozenSamHq(model, name, sha256, notes, trained_at)
    from promise_seg.sam.frozen_sam2 import FrozenSam2

    return FrozenSam2(model, name, sha256, notes, trained_at)


def size_of(model: PreTrainedModel) -> int:
    """Return the side of the images that a model takes, in pixels."""
    side: int = model.config.prompt_encoder_config.image_size
    return side
