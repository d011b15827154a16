"""Choose the image size of SAM and of the auto-prompter from the train rows."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning.object_sizes import fitting_side, usual_object_size
from promise_seg.learning.settings import TrainSettings
from promise_seg.prompting.apm_pretrained import USUAL_SIDE
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.encoder_precision import check_encoder_precision
from promise_seg.sam.known import only_size
from promise_seg.sam.loading import load_sam
from promise_seg.vocabulary import Fit, Protocol
from promise_seg.workflows.begun_run import image_size_of, note_of_run
from promise_seg.workflows.encoding import parse_encoder_precision
from promise_seg.workflows.noting import Note


def first_sam(
    sam: Backbone | str,
    device: torch.device,
    image_size: int | None,
    precision: str | None,
    output: str | Path | None = None,
) -> Backbone:
    """Load SAM at the given size, or at that of the run in a folder, so that errors are found before images are read.

    Args:
        sam: the SAM, which is returned if it is loaded already, or the name of it.
        device: the device for the SAM.
        image_size: side of its input, if it is given, in pixels.
        precision: the precision of its encoder, as given; checked, but not applied.
        output: folder of the run; ``None`` if there is none.

    Raises:
        CheckpointError: if there is no such SAM, or its weights do not fit.
        SettingsError: if the SAM cannot be used at that size, or in that precision on the device.
    """
    encodes = parse_encoder_precision(precision)
    if encodes is not None:
        check_encoder_precision(encodes, device)
    return sam if isinstance(sam, Backbone) else load_sam(sam, device, image_size_of(output, image_size))


class Sizing:
    """The image size of SAM and of the APM, chosen by the sizes of the objects if the user gives none.

    A resumed run, and one that starts from another model, keeps the size that it had.

    Args:
        train: the train rows.
        output: folder of the run, which may already exist; ``None`` if there is none.
        note: called with a line about each size that is chosen.
        fit: how the images become squares.
        is_new: whether the run does not start from another model.
    """

    def __init__(
        self,
        train: Sequence[CheckedRow],
        output: str | Path | None,
        note: Note,
        fit: Fit = Fit.STRETCH,
        *,
        is_new: bool = True,
    ) -> None:
        self._train, self._note, self._fit, self._is_new = train, note, fit, is_new
        self._begun = note_of_run(output)

    @cached_property
    def _object_size(self) -> float | None:
        return usual_object_size(self._train, self._fit)

    def _side(self, usual: int) -> int:
        return usual if self._object_size is None else fitting_side(self._object_size, usual)

    def load_sam(
        self,
        sam: str,
        device: torch.device,
        image_size: int | None,
        settings: TrainSettings,
        loaded: Backbone | None = None,
    ) -> Backbone:
        """Load SAM at the given size, or at one that fits the objects; ``loaded`` is one that was loaded before, at the
        given size, or at that of the run to resume."""
        if image_size is None and self._begun is not None:
            image_size = self._begun.get("image_size")
        frozen = load_sam(sam, device, image_size) if loaded is None else loaded
        is_chosen = image_size is not None or settings.protocol == Protocol.REFERENCE or not self._is_new
        if is_chosen or only_size(sam) is not None:
            return frozen
        side = self._side(frozen.image_size)
        if side == frozen.image_size:
            return frozen
        self._tell("--image-size", side, "SAM sees", frozen.image_size)
        return load_sam(sam, device, side)

    def with_apm_side(self, settings: TrainSettings) -> TrainSettings:
        """Return the settings with the side of the APM's own input image, if it has one and none is given."""
        config = settings.apm_config
        if config is None or "side" not in config.options() or "side" in settings.apm_options:
            return settings
        if self._begun is not None:
            side = self._begun["settings"].get("apm_options", {}).get("side")
        else:
            usual = USUAL_SIDE
            side = self._side(usual)
            side = None if side == usual else side
            if side is not None:
                self._tell("--apm-side", side, "the APM sees", usual)
        if side is None:
            return settings
        return settings.model_copy(update={"apm_options": {**settings.apm_options, "side": side}})

    def _tell(self, option: str, side: int, who: str, usual: int) -> None:
        size = (self._object_size or 0) * usual
        self._note(
            f"{option} {side}: {who} the images at {side} px, as half of the objects would be smaller than "
            f"{size:.0f} px at {usual} px. Give {option} to choose it yourself"
        )
