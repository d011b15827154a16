"""The picture that shows what was predicted for one input: its image, or some of its slices, with the labels."""

import numpy as np

from promise_seg.images.reading import Reading
from promise_seg.images.sheets import OUTLINE_COLOURS, contact_sheet
from promise_seg.prediction.labelling import Labelled, LabelledSlice
from promise_seg.prediction.overlay import draw_instances, draw_overlay

_SHEET_SLICES = 12


def overview(labelled: Labelled, reading: Reading) -> np.ndarray:
    """Return the picture with its labels; of a volume some slices, evenly over those in which there is something."""
    if not labelled.source.is_volume:
        picture = reading.rgb(labelled.source, 0) if labelled.picture is None else labelled.picture
        return _draw(picture, labelled.slices[0])
    filled = [i for i, one in enumerate(labelled.slices) if one.labels.any()] or list(range(len(labelled.slices)))
    chosen = sorted({filled[round(i)] for i in np.linspace(0, len(filled) - 1, min(_SHEET_SLICES, len(filled)))})
    tiles = [_draw(reading.rgb(labelled.source, i), labelled.slices[i]) for i in chosen]
    return contact_sheet(tiles, [f"slice {labelled.source.number_of(i)}" for i in chosen])


def _draw(image: np.ndarray, one: LabelledSlice) -> np.ndarray:
    if one.objects is not None:
        return draw_instances(image, one.labels)
    for number, (label, origin) in enumerate(one.origins.items()):
        colour = OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)]
        image = draw_overlay(
            image, one.labels == label, origin.points_xy_image, origin.point_labels, origin.boxes_xyxy_image, colour
        )
    return image
