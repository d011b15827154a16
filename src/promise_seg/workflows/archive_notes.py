"""Notes on what was done with each series of an archive, beside its images: what a second call need not do again."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


class SeriesNotes:
    """The notes in a folder of predictions: ``retrieved/<study>/<series>.json``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / PREDICTION_RETRIEVED

    def images(self, series: Series) -> Path:
        """Return the folder for the images of a series."""
        return self.folder / series.study / series.uid

    def path(self, series: Series) -> Path:
        """Return the file with the note on a series."""
        return self.folder / series.study / f"{series.uid}.json"

    def read(self, series: Series) -> SeriesNote | None:
        """Return what was noted; None if nothing was, or it was damaged: then the series is done again."""
        try:
            return _as_note(read_sealed(self.path(series)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, series: Series, note: SeriesNote) -> None:
        """Note what was done.

        Raises:
            PromiseError: if it cannot be written.
        """
        sent = {root: list(masks) for root, masks in note.sent.items()}
        try:
            write_sealed(self.path(series), {"instances": note.instances, "masks": list(note.masks), "sent": sent})
        except PromiseError as error:
            raise PromiseError(f"{error} What was predicted before is unharmed") from error


def _as_note(content: dict[str, Any]) -> SeriesNote:
    sent = {str(root): tuple(map(str, masks)) for root, masks in content["sent"].items()}
    return SeriesNote(str(content["instances"]), tuple(map(str, content["masks"])), sent)
