"""The Dice with the ground truth of a manifest, for practice."""

import numpy as np

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.objects import AnnotatedObject
from promise_seg.annotator.refusals import Refusal
from promise_seg.arrays import BoolArray
from promise_seg.errors import ManifestError, PromiseError
from promise_seg.images.guarding import guarded
from promise_seg.images.readers import read_labels


class Truth:
    """The ground truth of a manifest, which is used for practice only.

    Args:
        catalogue: the images of the project, all of which must have a mask.

    Raises:
        ManifestError: if an image has no mask.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        for number in catalogue.numbers:
            if (image := catalogue.image(number)).row is None:
                raise ManifestError(
                    f"--truth: {image.input.name} has no mask. Give a manifest instead of images or folders"
                )

    def dice(self, number: int, index: int, objects: list[AnnotatedObject]) -> float | None:
        """Return the Dice of the union of a slice's objects with the ground truth, 0 to 1.

        1 if both are empty; ``None`` if the mask or image cannot be read, or their sizes differ.
        """
        truth = self._mask(number, index)
        if truth is None:
            return None
        found = np.zeros(truth.shape, bool)
        for one in objects:
            if one.slice == index:
                found |= one.mask.mask(*truth.shape)
        total = int(found.sum()) + int(truth.sum())
        return 1.0 if total == 0 else 2 * int((found & truth).sum()) / total

    def _mask(self, number: int, index: int) -> BoolArray | None:
        row = self._catalogue.image(number).row
        if row is None:
            return None
        try:
            source = self._catalogue.source(number)
            with guarded(row.mask):
                labels = read_labels(row.mask, source, index)
        except (PromiseError, Refusal):  # the files may have changed meanwhile, which must not undo the action
            return None
        label = self._catalogue.reading.label
        found = labels == label if label is not None else labels != 0
        facts = self._catalogue.row(number)
        return np.asarray(found) if found.shape == (facts["height"], facts["width"]) else None
