"""The kinds of SAM: the ``transformers`` class and the backbone of each."""

import importlib
from dataclasses import dataclass

from transformers import PreTrainedModel, SamModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.frozen import FrozenSam


@dataclass(frozen=True)
class SamKind:
    """A kind of SAM: its class in ``transformers``, and a hub name as an example."""

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
"""The kinds by the ``model_type`` in ``config.json``. For video models, only the parts for images are used."""


def model_class(model_type: str, where: str) -> type[PreTrainedModel]:
    """Return the class of ``transformers`` for a ``model_type``.

    Raises:
        CheckpointError: if the type is not a kind of SAM, or the installed ``transformers`` is too old for it.
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
    """Wrap a model of any kind as a frozen backbone; the arguments are those of :class:`FrozenSam`."""
    if isinstance(model, SamModel):
        return FrozenSam(model, name, sha256, notes, trained_at)
    if type(model).__name__ == "SamHQModel":
        from promise_seg.sam.frozen_hq import FrozenSamHq

        return FrozenSamHq(model, name, sha256, notes, trained_at)
    from promise_seg.sam.frozen_sam2 import FrozenSam2

    return FrozenSam2(model, name, sha256, notes, trained_at)


def size_of(model: PreTrainedModel) -> int:
    """Return the input size of a model: the side of its square images, in pixels."""
    side: int = model.config.prompt_encoder_config.image_size
    return side
