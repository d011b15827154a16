"""The files of accepted images: their masks, their prompts and the manifest, which agree with the database."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from sqlite3 import Row
from threading import Lock
from typing import Any

from promise_seg.annotator.catalogue import Catalogue, ProjectImage, readable
from promise_seg.annotator.finding import find_images
from promise_seg.annotator.history import History
from promise_seg.annotator.learning import Learning
from promise_seg.annotator.objects import AnnotatedObject
from promise_seg.annotator.owner_groups import OwnerGroups
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import MANIFEST, AcceptedImage, ManifestEntry, Place, Results
from promise_seg.errors import PromiseError
from promise_seg.images.formats.source import Source
from promise_seg.progress import Progress, counted, silent
from promise_seg.vocabulary import MaskKind

_KINDS = {MaskKind.BINARY: "binary mask", MaskKind.CLASSES: "label map", MaskKind.INSTANCES: "instance map"}


class Acceptances:
    """Writes the files of accepted images.

    Args:
        folder: the folder of the project.
        catalogue: the images of the project.
        history: the objects of the images.
        learning: knows the names of the models that answered.
        results: writes the files.
    """

    def __init__(
        self, folder: Path, catalogue: Catalogue, history: History, learning: Learning, results: Results
    ) -> None:
        self.folder, self.catalogue, self.history, self.results = folder, catalogue, history, results
        self._learning, self._groups = learning, OwnerGroups(folder, catalogue)
        self._lock = Lock()
        self.manifest_is_due = False
        """Whether the manifest could not be written when it was last due."""

    def write(self, number: int, objects: Sequence[AnnotatedObject]) -> None:
        """Write the masks of an image, before it is recorded as done and listed in the manifest.

        Raises:
            Refusal: if they cannot be written.
        """
        row, image = self.catalogue.row(number), self.catalogue.image(number)
        self._write(row, image, self.catalogue.source(number), objects)

    def _write(
        self,
        row: Row,
        image: ProjectImage,
        source: Source,
        objects: Sequence[AnnotatedObject],
        kept: ManifestEntry | None = None,
    ) -> None:
        number, place = int(row["id"]), Place(row["stem"], row["height"], row["width"])
        planned = partial(self.catalogue.note_planned_mask, number)
        mask = self.results.write_masks(image, place, source, objects, self._learning.names(), planned)
        if kept is None:
            listed = self.results.manifest_entry(image, mask, self._slices_to_learn(row, objects))
        else:
            listed = replace(kept, mask=mask)
        self.catalogue.note_mask(number, mask, listed.to_text(), self.results.kind_of_mask(objects))
        old = row["mask"]
        if old not in (None, mask) and old not in self.catalogue.masks_of_others(number):  # of another format
            with suppress(OSError):  # then it stays, but the manifest lists the new one
                self.results.remove_mask(old)

    def discard(self, number: int) -> str:
        """Remove the masks and prompts of an image unless it is accepted; they are written again when it is.

        Returns:
            A sentence for the user if a file could not be removed, which is tried again at the next start.
        """
        rows = [row for row in self.catalogue.masks_to_remove() if row["id"] == number]
        return "".join(self._discarded(row) for row in rows)

    def discard_all(self) -> list[str]:
        """Remove the files of all images that are not accepted, for example after a crash; return what failed."""
        return [fault for row in self.catalogue.masks_to_remove() if (fault := self._discarded(row))]

    def _discarded(self, row: Row) -> str:
        try:
            if row["mask"] not in self.catalogue.masks_of_others(row["id"]):  # earlier versions shared some
                self.results.remove_mask(row["mask"])
            self.results.remove_prompts(row["stem"])
            self.catalogue.forget_mask(row["id"])
        except (OSError, Refusal) as error:
            reason = str(getattr(error, "strerror", None) or error)
            return (
                f"{self.folder / row['mask']}: {row['name']} is not accepted any longer, but its masks could not be "
                f"removed: {reason.rstrip('.')}. Delete them, or start the annotator again"
            )
        return ""

    def write_in_kind(self, progress: Progress = silent) -> list[str]:
        """Write the masks of accepted images again that are of another kind than the project's masks are by now.

        That is the case if it has several classes since, or was started with another choice of ``--instances``.

        Returns:
            A sentence for each image whose mask could not be written.
        """
        kind = self.results.kind
        known = {kind, None} if kind == MaskKind.BINARY else {kind}  # before label maps, the kind was not recorded
        rows = [row for row in self.catalogue.accepted() if row["mask"] is not None and row["mask_kind"] not in known]
        faults = []
        for row in counted(rows, progress, f"writing masks as {_KINDS[kind]}s"):
            try:
                self._write_again(row)
            except (PromiseError, Refusal) as error:
                faults.append(
                    f"{row['name']}: its mask is still a {_KINDS[row['mask_kind'] or MaskKind.BINARY]}, while the "
                    f"project has {_KINDS[kind]}s by now: {str(error).rstrip('.')}. Accept the image again"
                )
        return faults

    def _write_again(self, row: Row) -> None:
        number, kept = int(row["id"]), self._kept(row)
        if self.catalogue.is_given(number):
            image, source = self.catalogue.image(number), self.catalogue.source(number)
        else:
            reading = self.catalogue.reading
            if kept is None or not (self.folder / kept.image).exists():
                return  # the manifest leaves it out, too
            found = find_images([self.folder / kept.image], reading, self.folder, lambda words: None)
            if len(found) > 1:  # series that share a folder are left out, too
                return
            image = found[0]
            with readable(row["name"]):
                source = reading.opened(image.input.open(reading.axis))
        self._write(row, image, source, self.history.objects(number), kept)

    def write_manifest(self) -> None:
        """Rewrite the manifest with all accepted images; simultaneous acceptances take turns.

        Raises:
            Refusal: if it cannot be written. The acceptance is kept, and sending the action again writes the manifest.
        """
        with self._lock:
            rows = [(int(row["id"]), self.entry(row)) for row in self.catalogue.accepted() if row["mask"] is not None]
            listed = [(number, one) for number, one in rows if one is not None]
            images = [one for _, one in self._groups.applied(listed)]
            if not images and not (self.folder / MANIFEST).exists():
                return
            self.manifest_is_due = True
            try:
                self.results.write_manifest(images)
            except PromiseError as error:
                raise Refusal(
                    507, "not-stored",
                    f"Your change is saved, but the manifest is not up to date: {str(error).rstrip('.')}. Free space "
                    "or make the project's folder writable, and try again",
                ) from error  # fmt: skip
            self.manifest_is_due = False

    def _kept(self, row: Row) -> ManifestEntry | None:
        """Return the manifest entry that was recorded when an image was accepted."""
        kept = None if row["listed"] is None else ManifestEntry.from_text(row["listed"])
        if kept is not None and row["slices"] == 1:  # earlier versions left out images in which there is nothing
            kept = replace(kept, slices=None)
        return kept

    def entry(self, row: Row) -> ManifestEntry | None:
        """Return the manifest entry of an accepted image; ``None`` if a manifest cannot name it or it is missing."""
        number, kept = int(row["id"]), self._kept(row)
        if not self.catalogue.is_given(number):
            return kept if kept is not None and (self.folder / kept.image).exists() else None
        image = self.catalogue.image(number)
        slices = self._slices_to_learn(row, self.history.objects(number)) if kept is None else kept.slices
        return None if image.shares_folder else self.results.manifest_entry(image, row["mask"], slices)

    def missing(self) -> list[str]:
        """Return a sentence about accepted images that the manifest leaves out because their files are gone, if any."""
        gone = [
            kept.image
            for row in self.catalogue.accepted()
            if (kept := self._kept(row)) is not None
            and not self.catalogue.is_given(int(row["id"]))
            and not (self.folder / kept.image).exists()
        ]
        if not gone:
            return []
        return [
            f"{self.folder / MANIFEST}: {len(gone)} accepted image(s) are left out, because their files are gone, for "
            f"example {self.folder / gone[0]}. Give the folder that they are in now, too; their annotations are kept"
        ]

    def _slices_to_learn(self, row: Row, objects: Sequence[AnnotatedObject]) -> list[int] | None:
        """Return the viewed slices of a volume, which the manifest lists; ``None`` for all slices, as for any single
        image."""
        number, count = int(row["id"]), int(row["slices"])
        looked_at = {*self.history.state(number).proposed, *(one.slice for one in objects)}
        return None if len(looked_at) >= count or count == 1 else sorted(looked_at)

    def export_coco(self) -> dict[str, Any]:
        """Write all accepted masks as COCO; return the name of the file and its counts.

        Raises:
            Refusal: if it cannot be written.
        """
        images = []
        for row in self.catalogue.accepted():
            objects, count = self.history.objects(row["id"]), int(row["slices"])
            viewed = self._slices_to_learn(row, objects)
            slices = list(range(count)) if viewed is None else viewed
            images.append(AcceptedImage(row["name"], row["width"], row["height"], slices, count > 1, objects))
        return self.results.write_coco(images, self.catalogue.reading.axis)

    def to_learn_from(self, *, by_owner: bool = False) -> list[tuple[int, ManifestEntry]]:
        """Return the numbers and entries of accepted images that can be used for training, in the order of acceptance.

        Their files are unchanged, and a manifest can name them.

        Args:
            by_owner: whether images without a group are grouped by the patients of their DICOM files, which are read.
        """
        rows = sorted(self.catalogue.accepted(), key=lambda row: (row["last_at"] or 0.0, row["id"]))
        found = [(int(row["id"]), self.entry(row)) for row in rows if row["mask"] is not None]
        usable = [
            (number, listed)
            for number, listed in found
            if listed is not None
            and listed.slices != ()
            and not (self.catalogue.is_given(number) and self.catalogue.is_changed(number))
        ]
        return self._groups.applied(usable) if by_owner else usable
