"""Read the files that training left next to a model."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from promise_seg.checkpoint import find_checkpoint, run_folder
from promise_seg.errors import CheckpointError
from promise_seg.learning.run_log import LOG_FILE, WAY_OUT, read_log
from promise_seg.learning.run_note import RunNote, read_note
from promise_seg.validation import faults_of


class Epoch(BaseModel):
    """A line of the training log, for one epoch; the parts of the loss depend on the model.

    ``val_dice`` is ``None`` if the val rows were not scored after the epoch.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    epoch: int
    val_dice: float | None = None
    learning_rate: float
    seconds: float | None = None


@dataclass(frozen=True)
class RunFiles:
    """The folder of a run, the content of its ``settings.json``, and the lines of its ``log.jsonl``.

    ``folder`` is ``None`` for a model without a folder, ``note`` is ``None`` if there is no ``settings.json``.
    """

    folder: Path | None = None
    note: RunNote | None = None
    log: tuple[Epoch, ...] = ()

    @property
    def notes(self) -> list[str]:
        """A note if the log of a run is missing or empty; otherwise no notes."""
        if self.folder is None or self.note is None or self.log:
            return []
        return [f"{self.folder / LOG_FILE}: has no epochs, so the report has no curves and no time of training"]

    @property
    def hours(self) -> float | None:
        """The total duration of the epochs, in hours; ``None`` if it is not known."""
        seconds = [line.seconds for line in self.log if line.seconds is not None]
        return round(sum(seconds) / 3600, 4) if seconds else None


def read_run(run: str | Path | None) -> RunFiles:
    """Read the files that training left next to a model.

    Args:
        run: a checkpoint folder or the output folder of training; ``None`` for a model without a folder, such as a
            bare SAM.

    Raises:
        CheckpointError: if there is no model, or one of the files is damaged or was not written by training.
    """
    if run is None:
        return RunFiles()
    folder = run_folder(find_checkpoint(run))
    return RunFiles(folder, read_note(folder), _read_log(folder / LOG_FILE))


def _read_log(path: Path) -> tuple[Epoch, ...]:
    found = []
    for number, line in enumerate(read_log(path), 1):
        try:
            found.append(Epoch.model_validate(line))
        except ValidationError as error:
            raise CheckpointError(
                f"{path}:{number}: not a log line of promise train: {faults_of(error, Epoch)}. {WAY_OUT}"
            ) from error
    return tuple(found)
