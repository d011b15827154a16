"""Checkpoints of the published ProMISe code: one file with all of SAM, and the trained parts under other names.

Which variant a file holds, how many points it has and which SAM it stands on is read off its names and shapes. Reading
is exact: what is missing, unexpected or misshapen is named and refused.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import SamModel

import promise_seg
from promise_seg.compat.official_sam import (
    LIBRARY_POSITIONS,
    official_name,
    official_state,
    sam_from_state,
    transformers_name,
)
from promise_seg.compat.pickles import differences, read_state
from promise_seg.data.geometry import Fit
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.files import write_whole
from promise_seg.model import SAM_BESIDE, ModelConfig, PromiseModel, Variant
from promise_seg.prompting.apm import ApmKind, PositionCode
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.tuned import TrainAlso

# (prefix in the reference, ours)
_PREFIXES: tuple[tuple[str, str], ...] = (
    ("apm_feature_map.", "apm.feature_map."),
    ("apm_resnet.", "apm.resnet."),
    ("apm_cross.", "apm.cross."),
    ("apm_cross_prompt.", "apm.prompt."),
    ("ips_ffn.", "ips."),
)
_OLD_IPS, _IPS = "ffn.", "ips_ffn."
_SAM_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
_SHARED = "prompt_encoder.shared_embedding.positional_embedding"
_UNUSED = ("apm_resnet.fc2.", *(f"apm_cross.layers.{i}.norm2." for i in range(3)))
"""Parameters that the reference holds and never uses."""
_CONFIG = "promise_seg.config"
"""Our config as bytes, in files that we write, so that nothing is lost on the way back. The reference ignores it."""


@dataclass(frozen=True)
class ReferenceCheckpoint:
    """A reference checkpoint taken apart.

    Args:
        path: of the file.
        sam: the SAM inside it.
        narrow: the types of those of its parameters that were stored in half precision, by the library's names.
        trained: state of the trained parts, by our names.
        facts: what the names and shapes say: values of a :class:`~promise_seg.model.ModelConfig`.
        written_by_us: the config in the file, if it was made by ``promise convert --to reference``.
        notes: what a user should know, a line each.
    """

    path: Path
    sam: SamModel
    narrow: dict[str, torch.dtype]
    trained: dict[str, Tensor]
    facts: dict[str, Any]
    written_by_us: ModelConfig | None
    notes: tuple[str, ...]

    def around_its_own_sam(self, device: str | torch.device = "cpu") -> FrozenSam:
        """The SAM inside the file, frozen."""
        return FrozenSam(self.sam.to(device), str(self.path), notes=self.notes)

    def undo_rounding(self, base: SamModel) -> None:
        """Give parameters that were stored in half precision the values they were rounded from, where ``base`` has
        them: what is no more than a rounding of it was not trained."""
        exact = base.state_dict()
        with torch.no_grad():
            for name, value in self.sam.state_dict().items():
                dtype = self.narrow.get(_SHARED if name == LIBRARY_POSITIONS else name)
                if dtype is None or name not in exact or exact[name].shape != value.shape:
                    continue
                if torch.equal(exact[name].to(dtype).float(), value):
                    value.copy_(exact[name])

    def model(self, sam: FrozenSam, sam_name: str) -> PromiseModel:
        """The model, around a SAM that may differ from the one inside the file where parts of it were trained too.

        Raises:
            CheckpointError: naming every key that does not fit.
        """
        from promise_seg.checkpoint import load_trainable_state

        train_also = parts_that_differ(sam.model, self.sam)
        if self.written_by_us is not None:
            config = self.written_by_us.model_copy(update={"sam": sam_name, "sam_sha256": sam.sha256})
            if sam.sha256 != self.written_by_us.sam_sha256:
                config = config.model_copy(update={"train_also": train_also})
        else:
            config = ModelConfig(
                **self.facts,
                train_also=train_also,
                fit=Fit.STRETCH,
                mask_choice="0",
                sam=sam_name,
                sam_sha256=sam.sha256,
                image_size=sam.image_size,
                promise_seg_version=promise_seg.__version__,
            )
        model = PromiseModel(config, sam)
        wanted = model.trainable_state()
        of_sam = {f"sam.model.{name}": v for name, v in self.sam.state_dict().items()}
        state = self.trained | {name: of_sam[name] for name in wanted if name in of_sam}
        load_trainable_state(model, state, str(self.path), name_in_reference)
        return model.eval()


def name_in_reference(name: str) -> str:
    """What a trained parameter of ours is called in a reference checkpoint."""
    for theirs, ours in _PREFIXES:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return official_name(name.removeprefix("sam.model."))


def parts_that_differ(base: SamModel, other: SamModel) -> TrainAlso:
    """The least freeze level under which training could have made ``other`` of ``base``.

    Raises:
        CheckpointError: if they are SAMs of different sizes, or differ in what no training changes.
    """
    before, after = base.state_dict(), other.state_dict()
    if wrong := differences(after, before):
        raise CheckpointError(f"the SAM in the file is not of the size of the one given: {wrong}")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name].cpu(), after[name].cpu())}
    if "shared_image_embedding" in changed:
        raise CheckpointError("the SAM in the file is another one than that given: it codes positions otherwise")
    return next(level for level in TrainAlso if changed <= {*level.parts})


def _trained_parts(tensors: Mapping[str, Tensor], where: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State of APM and IPS by our names, and what it says of the model.

    Raises:
        CheckpointError: if there is neither, or two APMs.
    """
    kinds = [
        kind
        for kind, prefix in ((ApmKind.RESNET, "apm_resnet."), (ApmKind.CROSS, "apm_cross."))
        if any(name.startswith(prefix) for name in tensors)
    ]
    has_ips = any(name.startswith(_IPS) for name in tensors)
    if len(kinds) > 1:
        raise CheckpointError(f"{where}: holds two auto-prompting modules, apm_resnet and apm_cross; expected one")
    if not kinds and not has_ips:
        raise CheckpointError(
            f"{where}: neither apm_resnet, apm_cross nor ips_ffn in it: a SAM alone, or something else. A SAM is given "
            "with --sam"
        )
    facts: dict[str, Any] = {"variant": Variant.IPS}
    if kinds:
        kind = kinds[0]
        name = {ApmKind.RESNET: "apm_resnet.fc.weight", ApmKind.CROSS: "apm_cross.query_feat.weight"}[kind]
        if name not in tensors:
            raise CheckpointError(f"{where}: 1 missing: {name}, whose shape tells the number of points")
        rows = tensors[name].shape[0]
        count = rows // 2 if kind == ApmKind.RESNET else rows
        facts = {
            "variant": Variant.APM_IPS if has_ips else Variant.APM,
            "apm": kind,
            "position_code": PositionCode.REFERENCE if kind == ApmKind.CROSS else None,
            "num_points": count,
            "num_foreground": count // 2,
        }
    trained = {}
    for name, value in tensors.items():
        for theirs, ours in _PREFIXES:
            if name.startswith(theirs):
                trained[ours + name.removeprefix(theirs)] = value
    return trained, facts


def read_reference(path: str | Path) -> ReferenceCheckpoint:
    """Take a reference checkpoint apart.

    Raises:
        CheckpointError: if it cannot be read or holds something else, naming each key that does not fit.
    """
    path = Path(path)
    read = read_state(path)
    tensors, notes = dict(read.tensors), read.notes
    if any(name.startswith(_OLD_IPS) for name in tensors):
        tensors = {_IPS + n.removeprefix(_OLD_IPS) if n.startswith(_OLD_IPS) else n: v for n, v in tensors.items()}
        notes += ("older names ffn.* read as ips_ffn.*",)
    if unused := sorted(name for name in tensors if name.startswith(_UNUSED)):
        tensors = {name: v for name, v in tensors.items() if name not in unused}
        notes += (f"{len(unused)} parameters that the reference never uses left out: {', '.join(unused)}",)
    config = _embedded_config(tensors.pop(_CONFIG, None), path)
    known = (*_SAM_PARTS, *(theirs for theirs, _ in _PREFIXES))
    if unknown := sorted(name for name in tensors if not name.startswith(known)):
        raise CheckpointError(f"{path}: {len(unknown)} unexpected: {', '.join(unknown)}")
    trained, facts = _trained_parts(tensors, str(path))
    of_sam = {name: v for name, v in tensors.items() if name.startswith(_SAM_PARTS)}
    sam, more = sam_from_state(of_sam, str(path))
    narrow = {transformers_name(name): dtype for name, dtype in read.narrow.items() if name.startswith(_SAM_PARTS)}
    return ReferenceCheckpoint(path, sam, narrow, trained, facts, config, notes + more)


def _embedded_config(content: Tensor | None, path: Path) -> ModelConfig | None:
    if content is None:
        return None
    try:
        return ModelConfig.model_validate_json(content.to(torch.uint8).numpy().tobytes())
    except ValidationError as error:
        raise CheckpointError(f"{path}: {_CONFIG} in it is damaged: {error.errors()[0]['msg']}") from error


def load_reference(path: str | Path, device: str | torch.device = "cpu") -> PromiseModel:
    """A model straight from a reference checkpoint, around the SAM inside it, whose ``notes`` say what was done.

    Raises:
        CheckpointError: see :func:`read_reference`.
    """
    read = read_reference(path)
    return read.model(read.around_its_own_sam(device), str(path))


def reference_state(model: PromiseModel) -> dict[str, Tensor]:
    """A model under the reference's names, with all of SAM, as its code expects it.

    Raises:
        CheckpointError: if the reference has nothing like this model.
    """
    if model.config.apm == ApmKind.HEATMAP:
        raise CheckpointError("the reference has no APM heatmap; only resnet and cross can be converted to it")
    if not model.trainable_state():
        raise CheckpointError("a bare SAM has nothing trained to convert")
    if not model.sam.model.config.vision_config.use_rel_pos:
        raise CheckpointError(
            f"the SAM {model.sam.name!r} has no relative positions, as every SAM of the reference has; a model around "
            "SAM ViT-B, L or H can be converted"
        )
    state = official_state(model.sam.model)
    for name, value in model.trainable_state().items():
        state[name_in_reference(name)] = value.detach().cpu().contiguous()
    config = json.dumps(model.config.model_dump(mode="json"), sort_keys=True).encode()
    state[_CONFIG] = torch.from_numpy(np.frombuffer(config, np.uint8).copy())
    return state


def to_reference(model: PromiseModel, path: str | Path) -> tuple[str, ...]:
    """Write a model as a reference checkpoint; returns in words what the reference will do otherwise.

    Raises:
        CheckpointError: if the reference has nothing like this model.
        PromiseError: if the file cannot be written.
    """
    state = reference_state(model)
    write_whole(path, lambda p: _save(state, p))
    config, notes = model.config, []
    if config.mask_choice != "0":
        notes.append(f"the reference always takes the first mask; this model chose {config.mask_choice!r}")
    if config.fit != Fit.STRETCH:
        notes.append(f"the reference stretches images; this model was trained with --fit {config.fit}")
    if config.num_foreground != config.num_points // 2:
        notes.append(
            f"the reference labels half of its points as foreground; this model {config.num_foreground} of "
            f"{config.num_points}"
        )
    if config.position_code == PositionCode.GEOMETRIC:
        notes.append("the reference has other frequencies in its position code: its points will differ")
    return tuple(notes)


def _save(state: dict[str, Tensor], path: Path) -> None:
    """``torch.save`` by way of memory: writing itself, it makes of a full disk an error that looks like a bug."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(buffer.getbuffer())


def find_sam(read: ReferenceCheckpoint, given: str | None) -> tuple[FrozenSam, str, tuple[str, ...]] | None:
    """A SAM on this machine for a reference checkpoint, its name, and notes; ``None`` if there is none.

    A SAM that is given is taken even if parts of it differ: then these were trained too. Without one, those fetched by
    name are tried, and must be the very same; or, for a file that we wrote, the SAM of its config, by its hash.

    Raises:
        CheckpointError: if the SAM given cannot be loaded or is of another size.
    """
    from promise_seg.compat.known_sams import KNOWN_SAMS, sam_path
    from promise_seg.sam.loading import load_sam

    size = read.sam.config.vision_config.image_size
    if given is not None:
        try:
            sam = load_sam(given, image_size=size)
        except SettingsError as error:
            raise CheckpointError(
                f"--sam {given}: not the SAM of {read.path}, which is for {size} px: {error}"
            ) from error
        read.undo_rounding(sam.model)
        level = parts_that_differ(sam.model, read.sam)
        same = level == TrainAlso.NONE
        return sam, given, (f"its SAM is {given}" if same else f"its SAM is {given}, with trained parts: {level}",)
    ours = read.written_by_us
    names = [name for name in KNOWN_SAMS if sam_path(name).exists()]
    if ours is not None and ours.sam != SAM_BESIDE:
        names.insert(0, ours.sam)
    for name in names:
        try:
            sam = load_sam(name, image_size=size)
            if ours is None:
                read.undo_rounding(sam.model)
                fits = parts_that_differ(sam.model, read.sam) == TrainAlso.NONE
            else:
                fits = sam.sha256 == ours.sam_sha256
        except (CheckpointError, SettingsError):
            continue
        if fits:
            return sam, name, (f"its SAM is {name} (sha256 {sam.sha256[:12]})",)
    return None
