"""Load files of official weights; the names of the parameters tell whether it is a SAM, SAM-HQ or SAM 2."""

from pathlib import Path

from transformers import PreTrainedModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.official import HQ_EXTRAS, sam_from_state, sam_names, under_prefix
from promise_seg.sam.pickles import PickledState, read_state

SAM2_ANCHOR = "image_encoder.trunk.pos_embed"
"""The name of a parameter that every official SAM 2 has, and no other SAM."""
_LIBRARY_ANCHOR = "vision_encoder.backbone."
_EDGETAM = "image_encoder.trunk.body."


def load_official(path: str | Path) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """Read an official SAM, SAM-HQ or SAM 2, alone or inside another module, from a ``.pth``, ``.pt`` or
    ``.safetensors`` file; return the model with notes.

    For the formats of files, see :func:`~promise_seg.sam.pickles.read_state`. The kind of SAM is recognised by the
    names of the parameters.

    Raises:
        CheckpointError: if the file cannot be read, or does not have the parameters of a SAM.
    """
    read, where = read_state(path), str(path)
    if any(name.endswith(SAM2_ANCHOR) for name in read.tensors):
        return _load_sam2(read, where)
    _check_kind(read, where)
    names, renamed = sam_names(read.tensors, where)
    state = {name: read.tensors[stored] for name, stored in names.items()}
    if any(name.startswith(HQ_EXTRAS) for name in state):
        from promise_seg.sam.hq_official import hq_from_state

        return hq_from_state(state, where), read.notes + renamed
    model, more = sam_from_state(state, where)
    return model, read.notes + renamed + more


def _load_sam2(read: PickledState, where: str) -> tuple[PreTrainedModel, tuple[str, ...]]:
    from promise_seg.sam.sam2_official import sam2_from_state

    names, _, renamed = under_prefix(read.tensors, (SAM2_ANCHOR,), where)
    model, more = sam2_from_state({name: read.tensors[stored] for name, stored in names.items()}, where)
    return model, read.notes + renamed + more


def _check_kind(read: PickledState, where: str) -> None:
    """Raise a :class:`CheckpointError` for files of known models that cannot be loaded from a single file."""
    from promise_seg.sam.sam2_official import check_not_video_only

    check_not_video_only(read.tensors, where)
    if any(_EDGETAM in name for name in read.tensors):
        raise CheckpointError(
            f"{where}: holds EdgeTAM under its official names, which are not read. Give its folder or hub name of "
            "transformers instead: --sam yonigozlan/EdgeTAM-hf"
        )
    if any(_LIBRARY_ANCHOR in name for name in read.tensors):
        raise CheckpointError(
            f"{where}: holds a SAM 2 or a relative under the names of transformers, whose size is in the config.json "
            "beside it. Give the folder instead of the file"
        )
