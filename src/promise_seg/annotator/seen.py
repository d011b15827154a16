"""The images that models were trained on, so that no model is scored on its own training images."""

from collections.abc import Iterable
from pathlib import Path

from promise_seg.annotator.catalogue import Catalogue, readable
from promise_seg.annotator.refusals import Refusal
from promise_seg.annotator.results import ManifestEntry
from promise_seg.annotator.rounds import TRAIN, Round
from promise_seg.annotator.segmenter import models_of
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import ManifestError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.source import Source
from promise_seg.images.readers import content_sha256
from promise_seg.learning.training_images import TRAINING_IMAGES_FILE, read_training_images
from promise_seg.vocabulary import Split
from promise_seg.workflows.models import AnyModel


class Seen:
    """All images that the given models and the rounds of a project were trained on, as far as that is recorded.

    Args:
        folder: the folder of the project.
        catalogue: the images of the project.
        models: the model that was given, and the one in use.

    Raises:
        PromiseError: if a record of training images is damaged.
    """

    def __init__(self, folder: Path, catalogue: Catalogue, models: Iterable[AnyModel]) -> None:
        self._folder, self._catalogue = folder, catalogue
        rounds = Round.all_of(folder)
        known = [one.part.training_images() for model in models for one in models_of(model).values()]
        known += [read_training_images(path.parent) for one in rounds for path in one.run.rglob(TRAINING_IMAGES_FILE)]
        self._hashes = frozenset[str]().union(*(one.all_train for one in known if one is not None))
        self._paths = frozenset[Path]().union(*(_learned_from(one) for one in rounds))

    def has(self, number: int, listed: ManifestEntry) -> bool | None:
        """Return whether a model was trained on an accepted image; ``None`` if the image cannot be read.

        Raises:
            Refusal: if the image was given at this start and cannot be read.
        """
        path = self._folder / listed.image
        if path.resolve() in self._paths:
            return True
        if not self._hashes:
            return False
        try:
            with readable(listed.image):
                return self._is_among(self._source(number, path), listed)
        except Refusal:
            if self._catalogue.is_given(number):
                raise
            return None

    def _source(self, number: int, path: Path) -> Source:
        if self._catalogue.is_given(number):
            return self._catalogue.source(number)
        reading = self._catalogue.reading
        return reading.opened(open_source(path, reading.axis))

    def _is_among(self, source: Source, listed: ManifestEntry) -> bool:
        indices = range(len(source)) if listed.slices is None else listed.slices
        return any(content_sha256(source, index, self._catalogue.reading) in self._hashes for index in indices)


def _learned_from(work: Round) -> frozenset[Path]:
    """Return the files of the images that a round is trained on."""
    try:
        rows = read_manifest(work.folder / TRAIN)
    except ManifestError:  # a round that cannot be resumed; its run records the training images
        return frozenset()
    return frozenset(row.image.resolve() for row in rows if row.split == Split.TRAIN)
