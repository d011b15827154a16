"""Checkpoints of the published ProMISe code: one file with all of SAM, and the trained parts under other names.

The variant, the number of points and the SAM of a file are inferred from its names and shapes. Reading is strict: keys
that are missing, unexpected or misshapen are named and refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import SamModel

from promise_seg._version import __version__
from promise_seg.compat.reference_names import (
    EMBEDDED_CONFIG,
    IPS,
    OLD_IPS,
    OURS,
    PREFIXES,
    SAM_PARTS,
    UNUSED,
    name_in_reference,
)
from promise_seg.compat.sam_differences import parts_that_differ
from promise_seg.errors import CheckpointError, first_line
from promise_seg.images.reading import Reading
from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.prompting.building import make_apm_config
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.official import sam_from_state, sam_names, transformers_name
from promise_seg.sam.pickles import read_state
from promise_seg.vocabulary import ApmKind, Fit, MaskChoice, Protocol, Variant


@dataclass(frozen=True)
class ReferenceCheckpoint:
    """The parts of a reference checkpoint.

    Args:
        path: the path of the file.
        sam: the SAM inside it.
        narrow: the types of the parameters of the SAM that were stored in half precision, by the library's names.
        trained: the state of the trained parts, by our names.
        facts: values of a :class:`~promise_seg.model.ModelConfig` that are inferred from names and shapes.
        written_by_us: the config in the file, if it was made by ``promise convert --to reference``.
        notes: notes for the user, a line each.
    """

    path: Path
    sam: SamModel
    narrow: dict[str, torch.dtype]
    trained: dict[str, Tensor]
    facts: dict[str, Any]
    written_by_us: ModelConfig | None
    notes: tuple[str, ...]

    def around_its_own_sam(self, device: str | torch.device = "cpu") -> FrozenSam:
        """Return the SAM inside the file, frozen."""
        return FrozenSam(self.sam.to(device), str(self.path), notes=self.notes)

    def model(self, sam: FrozenSam, sam_name: str) -> PromiseModel:
        """Build the model around a SAM, which may differ from the one in the file in parts that were trained too.

        Raises:
            CheckpointError: with the name of every key that does not fit.
        """
        train_also = parts_that_differ(sam.model, self.sam)
        if self.written_by_us is not None:
            config = self.written_by_us.model_copy(update={"sam": sam_name, "sam_sha256": sam.sha256})
            if sam.sha256 != self.written_by_us.sam_sha256:
                config = config.model_copy(update={"train_also": train_also})
        else:
            config = ModelConfig(
                **self.facts,
                train_also=train_also,
                fit=Fit.SQUARE,
                reading=Reading(crop_border=True),
                mask_choice=MaskChoice.FIRST,
                sam=sam_name,
                sam_sha256=sam.sha256,
                image_size=sam.image_size,
                promise_seg_version=__version__,
            )
        model = PromiseModel(config, sam)
        wanted = model.trainable_state()
        of_sam = {f"sam.model.{name}": v for name, v in self.sam.state_dict().items()}
        state = self.trained | {name: of_sam[name] for name in wanted if name in of_sam}
        model.load_trainable_state(state, str(self.path), name_in_reference)
        return model.eval()


def _trained_parts(tensors: Mapping[str, Tensor], where: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of APM and IPS by our names, and the config values that follow from it.

    Raises:
        CheckpointError: if there is neither, or two APMs, or the key that gives the number of points is missing.
    """
    kinds = [
        kind
        for kind, prefix in ((ApmKind.RESNET, "apm_resnet."), (ApmKind.CROSS, "apm_cross."))
        if any(name.startswith(prefix) for name in tensors)
    ]
    has_ips = any(name.startswith(IPS) for name in tensors)
    if len(kinds) > 1:
        raise CheckpointError(f"{where}: contains two auto-prompting modules, apm_resnet and apm_cross; expected one")
    if not kinds and not has_ips:
        raise CheckpointError(
            f"{where}: contains neither apm_resnet, apm_cross nor ips_ffn, so it is only a SAM or something else. "
            "Pass a SAM with --sam"
        )
    facts: dict[str, Any] = {"variant": Variant.IPS}
    if kinds:
        kind = kinds[0]
        name = {ApmKind.RESNET: "apm_resnet.fc.weight", ApmKind.CROSS: "apm_cross.query_feat.weight"}[kind]
        if name not in tensors:
            raise CheckpointError(f"{where}: 1 missing: {name}, whose shape defines the number of points")
        rows = tensors[name].shape[0]
        count = rows // 2 if kind == ApmKind.RESNET else rows
        facts = {
            "variant": Variant.APM_IPS if has_ips else Variant.APM,
            "apm": make_apm_config(kind, Protocol.REFERENCE, num_points=count, num_foreground=count // 2),
        }
    trained = {}
    for name, value in tensors.items():
        for theirs, ours in PREFIXES:
            if name.startswith(theirs):
                trained[ours + name.removeprefix(theirs)] = value
        if name.startswith(OURS):
            trained[name.removeprefix(OURS)] = value
    return trained, facts


def read_reference(path: str | Path) -> ReferenceCheckpoint:
    """Read a reference checkpoint.

    Raises:
        CheckpointError: if the file cannot be read or holds something else, naming each key that does not fit.
    """
    path = Path(path)
    read = read_state(path)
    names, renamed = sam_names(read.tensors, str(path))
    tensors = {name: read.tensors[stored] for name, stored in names.items()}
    notes = read.notes + renamed
    if any(name.startswith(OLD_IPS) for name in tensors):
        tensors = {IPS + n.removeprefix(OLD_IPS) if n.startswith(OLD_IPS) else n: v for n, v in tensors.items()}
        notes += ("older names ffn.* read as ips_ffn.*",)
    if unused := sorted(name for name in tensors if name.startswith(UNUSED)):
        tensors = {name: v for name, v in tensors.items() if name not in unused}
        notes += (f"{len(unused)} parameters that the reference never uses left out: {', '.join(unused)}",)
    config = _embedded_config(tensors.pop(EMBEDDED_CONFIG, None), path)
    known = (*SAM_PARTS, OURS, *(theirs for theirs, _ in PREFIXES))
    if unknown := sorted(name for name in tensors if not name.startswith(known)):
        raise CheckpointError(f"{path}: {len(unknown)} unexpected: {', '.join(unknown)}")
    trained, facts = _trained_parts(tensors, str(path))
    of_sam = {name: v for name, v in tensors.items() if name.startswith(SAM_PARTS)}
    sam, more = sam_from_state(of_sam, str(path))
    narrow = {transformers_name(name): read.narrow[names[name]] for name in of_sam if names[name] in read.narrow}
    return ReferenceCheckpoint(path, sam, narrow, trained, facts, config, notes + more)


def _embedded_config(content: Tensor | None, path: Path) -> ModelConfig | None:
    if content is None:
        return None
    try:
        values = json.loads(content.to(torch.uint8).numpy().tobytes())
    except ValueError as error:
        raise CheckpointError(f"{path}: {EMBEDDED_CONFIG} in it is damaged: {first_line(error)}") from error
    return ModelConfig.of_any_version(values, f"{path}: {EMBEDDED_CONFIG}")


def load_reference(path: str | Path, device: str | torch.device = "cpu") -> PromiseModel:
    """Load a model directly from a reference checkpoint, around the SAM in it, whose ``notes`` describe the conversion.

    Raises:
        CheckpointError: see :func:`read_reference`.
    """
    read = read_reference(path)
    return read.model(read.around_its_own_sam(device), str(path))
