"""Names of models and their meaning: a bare SAM, a run, a checkpoint, a file of the published code, a model per class.

All commands and functions take any of these names; only this module distinguishes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from promise_seg.arguments import check_place
from promise_seg.checkpoint import find_checkpoint, is_reference_file, load_checkpoint, read_config, run_folder
from promise_seg.class_sets import class_folder, is_class_set, read_class_set
from promise_seg.errors import SettingsError
from promise_seg.images.reading import Reading
from promise_seg.learning.run_note import RunNote, read_note
from promise_seg.learning.training_images import TrainingImages, read_training_images
from promise_seg.model import PromiseModel, bare_model
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.trust.trust_file import FoundTrust, find_trust
from promise_seg.vocabulary import EncoderPrecision, Fit, Protocol, Variant

BARE = "bare"
"""The name of a SAM alone, without trained parts."""


class PartKind(StrEnum):
    """Kinds of places that hold a single model: nothing, a checkpoint folder, or a file of the published code."""

    BARE = "bare"
    CHECKPOINT = "checkpoint"
    REFERENCE = "reference"


@dataclass(frozen=True)
class ModelPart:
    """One model that a name refers to: the only one, or the model of one class in a set.

    Args:
        name: what the user calls it; for the model of a class, its folder.
        kind: the kind of place that holds it.
        checkpoint: its checkpoint folder, such as ``run/best``; ``None`` for other kinds.
        label: its class, in a set.
    """

    name: str
    kind: PartKind
    checkpoint: Path | None = None
    label: int | None = None

    @property
    def run_folder(self) -> Path | None:
        """The folder of its run, or of a checkpoint outside a run; ``None`` for models without a checkpoint folder."""
        return None if self.checkpoint is None else run_folder(self.checkpoint)

    @property
    def is_bare(self) -> bool:
        """Whether it is a SAM alone."""
        return self.kind == PartKind.BARE

    def variant(self) -> Variant | None:
        """Return which trainable parts it has, without loading weights; ``None`` for a file of the published code.

        Raises:
            CheckpointError: if its config cannot be read.
        """
        if self.is_bare:
            return Variant.SAM
        return None if self.checkpoint is None else read_config(self.checkpoint).variant

    def note(self) -> RunNote | None:
        """Return the notes of its run in ``settings.json``, or ``None`` if there are none.

        Raises:
            CheckpointError: if the file is damaged.
        """
        return None if self.run_folder is None else read_note(self.run_folder)

    def training_images(self) -> TrainingImages | None:
        """Return the images that its run was trained and selected on, or ``None`` if they are not known.

        Raises:
            CheckpointError: if the record of them is damaged.
        """
        return None if self.run_folder is None else read_training_images(self.run_folder)

    def find_trust(self, model: PromiseModel) -> FoundTrust:
        """Return its calibration, or the reason why it has none.

        Args:
            model: this part, loaded.

        Raises:
            CheckpointError: if the file of the calibration is damaged.
        """
        if self.checkpoint is not None:
            return find_trust(self.checkpoint, model)
        if self.is_bare:
            return FoundTrust(None, "")
        return FoundTrust(None, f"no trust scores: {self.name} is not calibrated; promise convert it first")

    def open(
        self,
        *,
        sam: Backbone | str | None = None,
        device: str | torch.device = "cpu",
        image_size: int | None = None,
        encoder_precision: EncoderPrecision | None = None,
        protocol: str = Protocol.OWN,
    ) -> PromiseModel:
        """Load the model, in evaluation mode.

        Args:
            sam: its SAM or the place of it, if no longer where training found it; for a bare SAM, the SAM to use.
            device: the device for the model.
            image_size: side of the input of a bare SAM, in pixels.
            encoder_precision: the precision of its SAM's encoder; by default that of training.
            protocol: whether a bare SAM gets its images as our own models do, or as the published code does.

        Raises:
            SettingsError: if an image size is given for a trained model.
            CheckpointError: if the model cannot be loaded.
        """
        if not self.is_bare:
            if image_size is not None:
                raise SettingsError(
                    "--image-size: a trained model is used at the size it was trained at; it is for bare only"
                )
            return load_checkpoint(self.name, sam, device, encoder_precision)
        if not isinstance(sam, Backbone):
            sam = load_sam(sam or NANO, device, image_size)
        if encoder_precision is not None:
            sam = sam.in_precision(encoder_precision)
        if protocol == Protocol.REFERENCE:
            return bare_model(sam, Fit.SQUARE, Reading(crop_border=True))
        return bare_model(sam)


@dataclass(frozen=True)
class ModelRef:
    """The models that a name refers to: one model, or one for each of several classes of label maps.

    Args:
        name: the name as the user gave it.
        parts: the models, in the order of their classes.
        is_class_set: whether there is a model for each class.
    """

    name: str
    parts: tuple[ModelPart, ...]
    is_class_set: bool = False

    @classmethod
    def resolve(cls, name: "str | Path | ModelRef") -> "ModelRef":
        """Return the models that a name refers to, without loading any weights.

        Args:
            name: ``bare``, the output folder of ``promise train``, a checkpoint folder in it, or a ``.pt`` or ``.pth``
                file of the published code.

        Raises:
            CheckpointError: if there is no model there.
            SettingsError: if the name is neither a text nor a path.
        """
        if isinstance(name, ModelRef):
            return name
        check_place(name, "model")
        text = str(name)
        if text == BARE:
            return cls(text, (ModelPart(text, PartKind.BARE),))
        if is_reference_file(name):
            return cls(text, (ModelPart(text, PartKind.REFERENCE),))
        if is_class_set(name):
            folders = {label: class_folder(Path(name), label) for label in read_class_set(name)}
            parts = tuple(
                ModelPart(str(folder), PartKind.CHECKPOINT, find_checkpoint(folder), label)
                for label, folder in folders.items()
            )
            return cls(text, parts, is_class_set=True)
        return cls(text, (ModelPart(text, PartKind.CHECKPOINT, find_checkpoint(name)),))

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes of a set."""
        return tuple(part.label for part in self.parts if part.label is not None)

    def checkpoints(self, why: str) -> Sequence[tuple[ModelPart, Path]]:
        """Return the parts with their checkpoint folders, to read or store files there.

        Args:
            why: what is stored there, such as ``a calibration``; for the message.

        Raises:
            SettingsError: if a part has no such folder.
        """
        found = []
        for part in self.parts:
            if part.checkpoint is None:
                way_out = (
                    "a SAM alone learns nothing; give a trained model"
                    if part.is_bare
                    else "a checkpoint of the published code has no place for it; promise convert it first"
                )
                raise SettingsError(f"{part.name}: {why} is kept beside a model, but {way_out}")
            found.append((part, part.checkpoint))
        return found

    def part_for(self, label: int | None) -> ModelPart:
        """Return the only part, or that of a class.

        Raises:
            SettingsError: if it is a set without that class.
        """
        if not self.is_class_set:
            return self.parts[0]
        for part in self.parts:
            if part.label == label:
                return part
        known = ", ".join(map(str, self.labels))
        what = "no class is named" if label is None else f"there is none of class {label}"
        raise SettingsError(f"{self.name}: holds models of the classes {known}, but {what}; name one of them")

    def reading(self) -> Reading | None:
        """Return how files were read in training, without loading weights; ``None`` if only the weights hold this."""
        checkpoint = self.parts[0].checkpoint
        return None if checkpoint is None else read_config(checkpoint).reading
