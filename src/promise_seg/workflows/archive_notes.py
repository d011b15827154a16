"""Notes on what was done with each series of an archive, beside its images: what a second call need not do again."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from promise_seg.archives.searching import Series
from promise_seg.errors import PromiseError
from promise_seg.images.own_folders import PREDICTION_RETRIEVED
from promise_seg.sealed import read_sealed, write_sealed


@dataclass(frozen=True)
class SeriesNote:
    """A note on what was done with a series.

    Args:
        instances: the hash of the identifiers of its instances: with others, it is another series.
        masks: those that were written, below the folder of predictions; none for a series without images.
        sent: the masks that each archive has, by its address.
    """

    instances: str
    masks: tuple[str, ...] = ()
    sent: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def sent_to(self, root: str) -> tuple[str, ...]:
        """Return the masks that an archive has."""
        return self.sent.get(root, ())

    def with_sent(self, root: str, mask: str) -> "SeriesNote":
        """Return the note after a mask was sent."""
        return SeriesNote(self.instances, self.masks, {**self.sent, root: (*self.sent_to(root), mask)})


def instances_sha256(instances: Iterable[str]) -> str:
    """Return the hash of the identifiers of a series, in any order."""
    return hashlib.sha256("\n".join(sorted(instances)).encode()).hexdigest()


class Known(Protocol):
    """A note on a series."""

    @property
    def instances(self) -> str:
        """The hash of the identifiers of its instances."""


KnownT = TypeVar("KnownT", bound=Known)


class NotesOfSeries(ABC, Generic[KnownT]):
    """The notes of one kind in a folder, ``retrieved/<study>/<series>.json``, and the places of images beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / PREDICTION_RETRIEVED

    def images(self, series: Series) -> Path:
        """Return the folder for the images of a series that were retrieved."""
        return self.folder / series.study / series.uid

    def path(self, series: Series) -> Path:
        """Return the file with the note on a series."""
        return self.folder / series.study / f"{series.uid}.json"

    def read(self, series: Series) -> KnownT | None:
        """Return what was noted; None if nothing was, or it was damaged: then the series is done again."""
        try:
            return self._note_of(read_sealed(self.path(series)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, series: Series, note: KnownT) -> None:
        """Note what was done.

        Raises:
            PromiseError: if it cannot be written.
        """
        write_sealed(self.path(series), self._as_json(note))

    @abstractmethod
    def _note_of(self, content: dict[str, Any]) -> KnownT:
        """Return the note of what :meth:`_as_json` returned; any error says that it is none."""

    @abstractmethod
    def _as_json(self, note: KnownT) -> dict[str, Any]:
        """Return a note as JSON."""


class SeriesNotes(NotesOfSeries[SeriesNote]):
    """The notes in a folder of predictions."""

    def write(self, series: Series, note: SeriesNote) -> None:
        """Note what was done, as :meth:`NotesOfSeries.write` does; its error says what is unharmed."""
        try:
            super().write(series, note)
        except PromiseError as error:
            raise PromiseError(f"{error} What was predicted before is unharmed") from error

    def _note_of(self, content: dict[str, Any]) -> SeriesNote:
        sent = {str(root): tuple(map(str, masks)) for root, masks in content["sent"].items()}
        return SeriesNote(str(content["instances"]), tuple(map(str, content["masks"])), sent)

    def _as_json(self, note: SeriesNote) -> dict[str, Any]:
        sent = {root: list(masks) for root, masks in note.sent.items()}
        return {"instances": note.instances, "masks": list(note.masks), "sent": sent}
