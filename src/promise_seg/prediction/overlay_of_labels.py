"""Draw the labels of an image or a volume as an overlay."""

from dataclasses import replace

import numpy as np

from promise_seg.arrays import Float32Array, Uint8Array
from promise_seg.images.geometry import Box
from promise_seg.images.reading import Reading
from promise_seg.images.sheets import OUTLINE_COLOURS, contact_sheet
from promise_seg.prediction.labelled import Labelled, LabelledSlice
from promise_seg.prediction.overlay import draw_instances, draw_overlay

LARGEST_OVERLAY = 2048
"""Longest side in pixels of the overlay of an image that is read window by window."""
_SHEET_SLICES = 12


def draw_labelled(labelled: Labelled, reading: Reading) -> Uint8Array:
    """Draw labels on their image; for a volume, on a contact sheet of some slices.

    A large image is drawn on a smaller copy. The slices are spread evenly over those with a label in them.
    """
    if labelled.source.size is not None and max(labelled.source.size) > LARGEST_OVERLAY:
        return _draw(*_small(labelled, reading))
    if not labelled.source.is_volume:
        picture = reading.rgb(labelled.source, 0) if labelled.picture is None else labelled.picture
        return _draw(picture, labelled.slices[0])
    filled = [i for i, one in enumerate(labelled.slices) if one.labels.any()] or list(range(len(labelled.slices)))
    chosen = sorted({filled[round(i)] for i in np.linspace(0, len(filled) - 1, min(_SHEET_SLICES, len(filled)))})
    tiles = [_draw(reading.rgb(labelled.source, i), labelled.slices[i]) for i in chosen]
    return contact_sheet(tiles, [f"slice {labelled.source.number_of(i)}" for i in chosen])


def _draw(image: Uint8Array, one: LabelledSlice) -> Uint8Array:
    if one.objects is not None:
        return draw_instances(image, one.labels)
    for number, (label, origin) in enumerate(one.origins.items()):
        colour = OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)]
        image = draw_overlay(
            image, one.labels == label, origin.points_xy_image, origin.point_labels, origin.boxes_xyxy_image, colour
        )
    return image


def _small(labelled: Labelled, reading: Reading) -> tuple[Uint8Array, LabelledSlice]:
    """Return every Nth row and column of an image that is read window by window, and of its labels."""
    height, width = labelled.source.size or (0, 0)
    step = -(-max(height, width) // LARGEST_OVERLAY)
    rows = []
    for top in range(0, height, step * 64):
        strip = Box(0, top, width, min(top + step * 64, height))
        rows.append(reading.rgb_in(labelled.source, 0, strip)[::step, ::step].copy())
    one = labelled.slices[0]
    origins = {
        label: replace(
            origin,
            points_xy_image=_shrunk(origin.points_xy_image, step),
            boxes_xyxy_image=_shrunk(origin.boxes_xyxy_image, step),
        )
        for label, origin in one.origins.items()
    }
    return np.concatenate(rows), replace(one, labels=np.array(one.labels[::step, ::step]), origins=origins)


def _shrunk(places: Float32Array, step: int) -> Float32Array:
    """Convert coordinates of an image to its copy of every Nth row and column."""
    return ((places + 0.5) / step - 0.5).astype(np.float32)
