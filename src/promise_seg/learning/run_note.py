"""The record of a run in ``settings.json``, for commands that use its model later."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from promise_seg.environment import Environment
from promise_seg.images.masks import Threshold
from promise_seg.learning.records import read_record
from promise_seg.learning.settings import RecordedSettings
from promise_seg.learning.starting import StartNote
from promise_seg.vocabulary import EncoderPrecision, StorePrecision

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True, kw_only=True)
class DataOrigin:
    """The origin of the rows of a run: ``data`` is the manifest, as the user named it; ``val_share`` is the share of
    the train rows that became val rows, if the manifest has none."""

    data: str
    val_share: float | None = None


class RunNote(BaseModel):
    """The entries of a run's ``settings.json`` that other commands need; ``None`` for those that older versions lack.

    Args:
        settings: the settings of the training.
        data_sha256: hash of its train and val rows.
        data, val_share: see :class:`DataOrigin`.
        mask_threshold: the grey level of masks above which pixels are foreground.
        environment: the environment of the training; ``None`` if it is not in the expected form.
        init: the model that the run started from, if any.
        store_precision, encoder_precision: the precisions of the features that it learned from.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    settings: RecordedSettings | None = None
    data_sha256: str | None = None
    data: str | None = None
    val_share: float | None = Field(None, gt=0, lt=1)
    mask_threshold: Threshold | None = None
    environment: Environment | None = None
    init: StartNote | None = None
    store_precision: StorePrecision = StorePrecision.FP16
    encoder_precision: EncoderPrecision = EncoderPrecision.FP32

    @field_validator("environment", mode="wrap")
    @classmethod
    def _known_or_not(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Environment | None:
        try:
            found: Environment | None = check(value)
        except ValidationError:
            return None
        return found


def read_note(folder: Path) -> RunNote | None:
    """Read the record of a run; ``None`` if there is no such file, as with a model outside a run.

    Raises:
        CheckpointError: if it is damaged, or not as training writes it.
    """
    return read_record(folder / SETTINGS_FILE, RunNote)
