"""The starting point of a training that does not begin with random weights: one of our models, or a published one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from promise_seg.checkpoint import SAM_FOLDER, read_config, read_weights
from promise_seg.compat.reference import ReferenceCheckpoint, read_reference
from promise_seg.compat.sam_differences import parts_that_differ, undo_rounding
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.images.reading import Reading
from promise_seg.learning.training_images import TrainingImages
from promise_seg.model import SAM_BESIDE, ModelConfig, PromiseModel
from promise_seg.prompting.apm import ApmConfig, PointsConfig
from promise_seg.sam.backbone import Backbone, state_sha256
from promise_seg.sam.frozen import FrozenSam
from promise_seg.storage.hashing import file_sha256
from promise_seg.vocabulary import Fit, TrainAlso, Variant


class StartNote(BaseModel):
    """The record of the model that a run started from, as ``init`` of its ``settings.json``.

    Args:
        ref: the model, as the user named it.
        sha256: hash of its config and weights, or of the file of the published code.
        taken: names of the tensors that were copied.
        new: names of the tensors that are initialised at random.
        left_out: names of the tensors of the model to start from that are not used.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    ref: str
    sha256: str
    taken: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """A line on the parts that were taken over, are new, or were left out."""
        named = {"taken over": self.taken, "new": self.new, "left out": self.left_out}
        parts = [f"{what} {_parts(names)}" for what, names in named.items() if names]
        return f"starts from {self.ref}: {'; '.join(parts)}"


@dataclass(frozen=True)
class StartingPoint:
    """A model to start from, read before the SAM of the new training is loaded.

    Args:
        ref: the model, as the user named it.
        sha256: hash of its config and weights, or of its file.
        variant: its variant.
        apm: the config of its APM, if it has one.
        fit, reading: how images are prepared for it.
        images: the images that it was trained on, if they are known.
        config, state: config and weights, for one of our models.
        file: the file, for a model of the published code.
        checkpoint: the folder, for one of our models.
    """

    ref: str
    sha256: str
    variant: Variant
    apm: ApmConfig | None
    fit: Fit
    reading: Reading
    images: TrainingImages | None
    config: ModelConfig | None = None
    state: Mapping[str, Tensor] | None = None
    file: ReferenceCheckpoint | None = None
    checkpoint: Path | None = None

    @classmethod
    def of_checkpoint(cls, ref: str, folder: Path, images: TrainingImages | None) -> "StartingPoint":
        """Return one of our models as a starting point.

        Args:
            ref: the model, as the user named it.
            folder: the folder of the checkpoint itself, such as ``run/best``.
            images: the images that it was trained on, if they are known.

        Raises:
            CheckpointError: if it cannot be read.
        """
        config, state = read_config(folder), read_weights(folder)
        sha256 = config.sha256_with(state_sha256(state))
        return cls(
            ref, sha256, config.variant, config.apm, config.fit, config.reading, images, config=config, state=state,
            checkpoint=folder,
        )  # fmt: skip

    @classmethod
    def of_reference(cls, ref: str) -> "StartingPoint":
        """Return a file of the published code as a starting point.

        Raises:
            CheckpointError: if it cannot be read.
        """
        file = read_reference(ref)
        ours = file.written_by_us
        return cls(
            ref, file_sha256(Path(ref)),
            file.facts["variant"] if ours is None else ours.variant,
            file.facts.get("apm") if ours is None else ours.apm,
            Fit.SQUARE if ours is None else ours.fit,
            Reading(crop_border=True) if ours is None else ours.reading,
            None, file=file,
        )  # fmt: skip

    @property
    def settings(self) -> dict[str, Any]:
        """The settings, by name, that a training takes from this model unless the user overrides them."""
        values: dict[str, Any] = {"variant": self.variant, "fit": self.fit}
        if self.apm is None:
            return values
        options = self.apm.model_dump(include=set(self.apm.options()))
        points: dict[str, Any] = {}
        if isinstance(self.apm, PointsConfig):
            points = {"num_points": self.apm.num_points, "num_foreground": self.apm.num_foreground}
        return values | points | {"apm": self.apm.kind, "apm_options": options}

    def put_into(self, model: PromiseModel, sam: Backbone) -> StartNote:
        """Copy the trained parts of this model whose names and shapes fit into another model.

        Args:
            model: the model to be trained; its other parts are not changed.
            sam: the SAM that it is built around.

        Raises:
            SettingsError: if this model is built around another SAM, or none of its parts fit; with the way out.
        """
        state = self._state_for(sam, model.config.train_also)
        wanted = model.trainable_state()
        same_apm = _options(self.apm) == _options(model.config.apm)
        fitting = {
            name: value
            for name, value in state.items()
            if name in wanted and value.shape == wanted[name].shape and (same_apm or not name.startswith("apm."))
        }
        if all(name.startswith("quality.") for name in fitting):
            raise SettingsError(
                f"--init {self.ref}: nothing of it fits: it is {_described(self.variant, self.apm)}, and "
                f"{_described(model.config.variant, model.config.apm)} is to be trained. Choose --variant, --apm and "
                "its options so that a part of it is used"
            )
        model.load_state_dict(fitting, strict=False)
        return StartNote(
            ref=self.ref, sha256=self.sha256, taken=tuple(sorted(fitting)),
            new=tuple(sorted(set(wanted) - set(fitting))), left_out=tuple(sorted(set(state) - set(fitting))),
        )  # fmt: skip

    def _state_for(self, sam: Backbone, train_also: TrainAlso) -> Mapping[str, Tensor]:
        """Return the trained tensors by our names, for a model around this SAM."""
        if self.file is not None:
            return self._state_of_file(sam, train_also)
        if self.config is None or self.state is None:
            raise ValueError("a starting point is a checkpoint or a file")
        if self.config.sam_sha256 != sam.sha256:
            place = self.config.sam
            if place == SAM_BESIDE and self.checkpoint is not None:
                place = str(self.checkpoint / SAM_FOLDER)
            raise SettingsError(
                f"--init {self.ref}: was trained on the SAM {place!r} (sha256 {self.config.sam_sha256[:12]}), but this "
                f"training is on {sam.name!r} (sha256 {sam.sha256[:12]}). Give --sam {place}"
            )
        return self.state

    def _state_of_file(self, sam: Backbone, train_also: TrainAlso) -> Mapping[str, Tensor]:
        file = self.file
        if file is None or not isinstance(sam, FrozenSam):
            raise SettingsError(f"--init {self.ref}: a file of the published code needs a SAM of its kind")
        way_out = (
            f"Give the SAM that it was trained on with --sam, or convert it first: promise convert {self.ref} -o MODEL "
            "says which SAM is in it"
        )
        try:
            undo_rounding(sam.model, file.sam, file.narrow)
            differs = parts_that_differ(sam.model, file.sam)
        except CheckpointError as error:
            raise SettingsError(f"--init {self.ref}: {error}. {way_out}") from error
        if "vision_encoder" in differs.parts and "vision_encoder" not in train_also.parts:
            raise SettingsError(
                f"--init {self.ref}: the SAM in it is not {sam.name!r}: their image encoders differ. {way_out}"
            )
        of_sam = {
            f"sam.model.{name}": value
            for name, value in file.sam.state_dict().items()
            if name.split(".")[0] in differs.parts
        }
        return {**file.trained, **of_sam}


def _options(apm: ApmConfig | None) -> dict[str, Any] | None:
    """Return the options of an APM that must be equal for its weights to be interchangeable."""
    return None if apm is None else apm.meaning()


def _described(variant: Variant, apm: ApmConfig | None) -> str:
    if apm is None:
        return f"{variant}"
    options = ", ".join(f"{name} {value}" for name, value in apm.model_dump(include=set(apm.options())).items())
    return f"{variant} with the APM {apm.kind}" + (f" ({options})" if options else "")


def _parts(names: tuple[str, ...]) -> str:
    """Describe the parts that tensors belong to, each with the number of its tensors."""
    counts: dict[str, int] = {}
    for name in names:
        part = "SAM's " + name.split(".")[2].replace("_", " ") if name.startswith("sam.") else name.split(".")[0]
        counts[part] = counts.get(part, 0) + 1
    return ", ".join(f"{part} ({count})" for part, count in counts.items())
