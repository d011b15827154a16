"""Look at a few masks of a new manifest and say with which option they must be read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.errors import ImageError
from promise_seg.images.guarding import guarded
from promise_seg.images.label_meaning import FEW_LABELS, LabelMeaning, meaning_of
from promise_seg.images.readers import labels_of, mask_source

_LOOKED_AT = 4
_ADVICE = {
    LabelMeaning.INSTANCES: "the masks look like instance maps (each value is one object): add --instances to the "
    "commands that follow",
    LabelMeaning.CLASSES: "the masks look like label maps (each value is a class): add --class with the number of a "
    "class to the commands that follow",
    LabelMeaning.GREY: "the masks have intermediate grey values, as after JPEG compression or smooth resizing: add "
    "--mask-threshold to the commands that follow",
}
_AMBIGUOUS = (
    "the masks have several values: add --instances to the commands that follow if each value is one object, or "
    "--class with the number of a class if the values are classes"
)


def masks_advice(pairs: Sequence[ImagePair]) -> str | None:
    """Return a line on the option with which the masks of some pairs must be read.

    Only a few masks are read, and one slice of each volume. Masks that cannot be read are skipped, as are masks with
    other values than whole numbers.

    Returns:
        the line, or ``None`` if masks have one value for the object, so that no option is needed.
    """
    at = np.unique(np.linspace(0, len(pairs) - 1, _LOOKED_AT).round().astype(int)) if pairs else ()
    several = [labels for i in at if (labels := _labels(pairs[i].mask)) is not None and _has_several(labels)]
    if not several:
        return None
    meanings = [meaning_of(labels) for labels in several]
    for meaning in LabelMeaning:  # a map with a few objects may have any meaning, so those with many decide
        if meaning in meanings:
            return _ADVICE[meaning]
    return _AMBIGUOUS if max(int(labels.max()) for labels in several) <= FEW_LABELS else None


def _labels(mask: Path) -> Array | None:
    try:
        with guarded(mask):
            source = mask_source(mask)
            return None if source is None else labels_of(source, mask, index=len(source) // 2)
    except ImageError:  # promise data check reports it
        return None


def _has_several(labels: Array) -> bool:
    numbers = np.setdiff1d(labels, [0])
    return len(numbers) > 1 and bool((numbers == np.round(numbers)).all()) and numbers[0] > 0
