"""Notes on the series of an archive, next to their images, so that a second call does not repeat the work."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from promise_seg.archives.searching import Series
from promise_seg.errors import PromiseError
from promise_seg.images.own_folders import PREDICTION_RETRIEVED
from promise_seg.storage.sealed import read_sealed, write_sealed


@dataclass(frozen=True)
class SeriesNote:
    """A note on what was done with a series.

    Args:
        instances: the hash of the identifiers of the instances; if it differs, the series has changed.
        masks: the masks that were written, as paths below the prediction folder; empty for a series without images.
        sent: the masks that each archive has received, by the address of the archive.
    """

    instances: str
    masks: tuple[str, ...] = ()
    sent: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def sent_to(self, root: str) -> tuple[str, ...]:
        """Return the masks that were sent to an archive."""
        return self.sent.get(root, ())

    def with_sent(self, root: str, mask: str) -> "SeriesNote":
        """Return the note after a mask was sent to an archive."""
        return SeriesNote(self.instances, self.masks, {**self.sent, root: (*self.sent_to(root), mask)})


def instances_sha256(instances: Iterable[str]) -> str:
    """Return the hash of the identifiers of a series' instances, which does not depend on their order."""
    return hashlib.sha256("\n".join(sorted(instances)).encode()).hexdigest()


class Known(Protocol):
    """Any note on a series."""

    @property
    def instances(self) -> str:
        """The hash of the identifiers of the series' instances."""


KnownT = TypeVar("KnownT", bound=Known)


class NotesOfSeries(ABC, Generic[KnownT]):
    """Notes of one kind in a folder, ``retrieved/<study>/<series>.json``, and the image folders next to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / PREDICTION_RETRIEVED

    def images(self, series: Series) -> Path:
        """Return the folder for the retrieved images of a series."""
        return self.folder / series.study / series.uid

    def path(self, series: Series) -> Path:
        """Return the file with the note on a series."""
        return self.folder / series.study / f"{series.uid}.json"

    def read(self, series: Series) -> KnownT | None:
        """Return the note on a series; None if there is none or it is damaged, so that the series is done again."""
        try:
            return self._note_of(read_sealed(self.path(series)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, series: Series, note: KnownT) -> None:
        """Write the note on a series.

        Raises:
            PromiseError: if it cannot be written.
        """
        write_sealed(self.path(series), self._as_json(note))

    @abstractmethod
    def _note_of(self, content: dict[str, Any]) -> KnownT:
        """Return the note that :meth:`_as_json` turned into ``content``; any error means that it is not one."""

    @abstractmethod
    def _as_json(self, note: KnownT) -> dict[str, Any]:
        """Return a note as JSON."""


class SeriesNotes(NotesOfSeries[SeriesNote]):
    """The notes in a folder of predictions."""

    def write(self, series: Series, note: SeriesNote) -> None:
        """Write the note, as :meth:`NotesOfSeries.write` does; the error says that earlier predictions are unharmed."""
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
