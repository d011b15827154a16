"""The groups of images to which the user gave none: the patients, studies and series of their DICOM files."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.results import ManifestEntry
from promise_seg.dataset.manifest import Row
from promise_seg.dataset.owners import grouped_by_owner
from promise_seg.images.formats.identifiers import Identifiers, identifiers_of
from promise_seg.vocabulary import Split


class OwnerGroups:
    """Groups accepted images by patient as :func:`~promise_seg.dataset.owners.grouped_by_owner` does.

    All images of the project are considered, because the patients of a few images may be mistaken for the name that an
    anonymisation gave to all of them. The header of each image is read once.

    Args:
        folder: the folder of the project.
        catalogue: the images of the project, to which none are added any more.
    """

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self._folder, self._catalogue = folder, catalogue
        self._known: dict[Path, Identifiers | None] = {}

    def applied(self, listed: Sequence[tuple[int, ManifestEntry]]) -> list[tuple[int, ManifestEntry]]:
        """Return the numbers and entries of images, with the patient, study or series as the group of each entry that
        has no group other than its own image."""
        rows = self._given | {number: self._row_of(number, entry) for number, entry in listed}
        if all(row.has_group or self._identifiers(row.image) is None for row in rows.values()):
            return list(listed)
        grouped = {row.where: row for row in grouped_by_owner(list(rows.values()), self._identifiers)}
        return [
            (number, replace(entry, group=row.group) if (row := grouped[str(number)]).is_of_owner else entry)
            for number, entry in listed
        ]

    @cached_property
    def _given(self) -> dict[int, Row]:
        """The images that were given at this start, by their numbers."""
        images = {number: self._catalogue.image(number) for number in self._catalogue.numbers}
        return {
            number: _row(number, image.input.path, image.row.group if image.row and image.row.has_group else None)
            for number, image in images.items()
        }

    def _row_of(self, number: int, entry: ManifestEntry) -> Row:
        path = self._given[number].image if number in self._given else self._folder / entry.image
        return _row(number, path, None if entry.group == entry.image else entry.group)

    def _identifiers(self, path: Path) -> Identifiers | None:
        if path not in self._known:
            found = identifiers_of(path)
            if found is None and not path.exists():  # it may come back
                return None
            self._known[path] = found
        return self._known[path]


def _row(number: int, path: Path, group: str | None) -> Row:
    return Row(str(number), path, path, Split.TRAIN, group or str(path))
