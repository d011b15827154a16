"""Keep one identity in a prediction folder while processes write into it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from promise_seg.images.own_folders import PREDICTION_FOLDERS, PREDICTION_IDENTITY, PREDICTION_PARTS
from promise_seg.prediction.identity import keep_identity, keep_in_turn, read_identity
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.outputs.formats import writer_of
from promise_seg.prediction.table import PredictionTable
from promise_seg.storage.locks import in_turn
from promise_seg.storage.sealed import write_sealed
from promise_seg.vocabulary import OutputFormat

_FOR_SLICES = frozenset({"slices", "every"})
"""The entries of an identity that only affect volumes and videos."""
_FOR_SEGMENTATIONS = frozenset({"keep_empty_frames"})
"""The entries of an identity that only affect DICOM segmentations."""


def identity_of(labeller: Labeller, output: OutputFormat, keep_empty_frames: bool, every: int) -> dict[str, object]:
    """Return the model and the options that determine the predictions in a folder."""
    identity = labeller.identity() | {"format": str(output)}
    if keep_empty_frames:  # so that the identity of folders without empty frames does not change
        identity["keep_empty_frames"] = True
    if every > 1:
        identity["every"] = every
    return identity


class FolderIdentity:
    """The identity of a folder that this process writes predictions into.

    If the recorded identity differs only in options that none of the predictions in the folder depends on, the new
    identity replaces it. A process that still writes predictions with the options before may add others that do not
    depend on them; a prediction that does is not recorded, but raises an error.

    Raises:
        PromiseError: if the folder holds predictions of another model, or with other options.
    """

    def __init__(self, folder: Path, identity: dict[str, object]) -> None:
        self._folder, self._path, self._identity = folder, folder / PREDICTION_IDENTITY, identity
        if self._path.exists():
            with in_turn(self._path):
                if _differs_without_effect(folder, identity):
                    write_sealed(self._path, identity)
        keep_identity(folder, identity)

    def confirm(self, *, of_slices: bool = True, of_segmentation: bool = True) -> None:
        """Check the identity again before a prediction is written, as another process may have removed or replaced it.

        Args:
            of_slices: whether the prediction is that of a volume or a video.
            of_segmentation: whether it may become a DICOM segmentation.

        Raises:
            PromiseError: if the folder belongs by now to another model, or to options that the prediction depends on.
        """
        keep_identity(self._folder, self._identity, _without_effect(of_slices, of_segmentation))

    @contextmanager
    def recording(self, lines: Sequence[dict[str, str]]) -> Iterator[None]:
        """Check the identity once more, and keep it from being replaced while lines are added to the table.

        Args:
            lines: the lines of one prediction.

        Raises:
            PromiseError: see :meth:`confirm`.
        """
        without = _without_effect_on(lines)
        if without >= _FOR_SLICES | _FOR_SEGMENTATIONS:
            yield
            keep_identity(self._folder, self._identity, without)  # a process that predicted nothing may have removed it
            return
        with in_turn(self._path):
            keep_in_turn(self._folder, self._identity, without)
            yield

    def remove_if_empty(self) -> None:
        """Remove the identity if the folder holds no predictions, so that other options can be tried next."""
        if not any((self._folder / name).exists() for name in (PREDICTION_PARTS, *PREDICTION_FOLDERS)):
            self._path.unlink(missing_ok=True)


def _without_effect(of_slices: bool, of_segmentation: bool) -> frozenset[str]:
    """Return the entries of an identity that do not affect predictions of these kinds."""
    return (frozenset() if of_slices else _FOR_SLICES) | (frozenset() if of_segmentation else _FOR_SEGMENTATIONS)


def _without_effect_on(lines: Sequence[dict[str, str]]) -> frozenset[str]:
    """Return the entries of an identity that do not affect predictions with these lines in the table."""
    suffix = writer_of(OutputFormat.DICOM_SEG, False).suffix
    of_segmentation = any(PurePath(line["mask"]).name.endswith(suffix) for line in lines)
    return _without_effect(any(line["slice"] for line in lines), of_segmentation)


def _differs_without_effect(folder: Path, identity: dict[str, object]) -> bool:
    """Whether a folder's identity differs from another only in options that its predictions do not depend on."""
    known = read_identity(folder)
    differing = {name for name in known | identity if known.get(name) != identity.get(name)}
    if not differing or not differing <= _FOR_SLICES | _FOR_SEGMENTATIONS or (folder / PREDICTION_PARTS).exists():
        return False
    lines = [line for found in PredictionTable(folder).all_lines() for line in found]
    return bool(lines) and differing <= _without_effect_on(lines)
