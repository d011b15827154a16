"""Separation of the objects of an image, also where they touch, by its saliency and distance maps.

Each peak of the distance map is an object if it rises high enough above the pass to any higher peak. A watershed
assigns the foreground to the peaks. Every connected component of the foreground is at least one object.
"""

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from promise_seg.arrays import BoolArray, Float32Array, IntArray

PROMINENCE = 0.1
"""The default height that a peak must rise above the pass to a higher peak; the deepest position of an object is 1."""
_LEVELS = 40


class Separated(NamedTuple):
    """The objects of an image, in no order: ``regions`` (r, r), numbered from 1 without gaps, 0 elsewhere; and the
    ``rows`` and ``columns`` (K,) of the deepest position of each object."""

    regions: IntArray
    rows: IntArray
    columns: IntArray

    @property
    def boxes(self) -> IntArray:
        """The boxes (K, 4) as ``left``, ``top``, ``right``, ``bottom`` in cells; right and bottom are exclusive."""
        windows = ndimage.find_objects(self.regions)
        found = [[columns.start, rows.start, columns.stop, rows.stop] for rows, columns in windows]
        return np.array(found, np.int64).reshape(-1, 4)


def separate(certain: BoolArray, distance: Float32Array, prominence: float = PROMINENCE) -> Separated:
    """Separate the objects in the foreground.

    Args:
        certain: (r, r), the foreground.
        distance: (r, r), how deep inside its object each position is, 0 to 1.
        prominence: least height of a peak above the pass to a higher peak.
    """
    from skimage.segmentation import watershed  # takes long to import

    height = np.where(certain, distance, 0).astype(np.float32)
    rows, columns = _peaks(certain, height, prominence)
    markers = np.zeros(certain.shape, np.int32)
    markers[rows, columns] = np.arange(1, len(rows) + 1)
    regions = watershed(-height, markers, mask=certain, connectivity=np.ones((3, 3)))
    return Separated(regions.astype(np.int64), rows, columns)


def _peaks(certain: BoolArray, height: Float32Array, prominence: float) -> tuple[IntArray, IntArray]:
    """Return the rows and columns (K,) of the peaks, by lowering a level from the highest height to the lowest.

    If two connected components above the level merge, the lower peak is kept only if it is ``prominence`` above it.
    """
    peaks = np.zeros(0, np.int64)
    flat = height.ravel()
    for level in [*np.linspace(1, 0, _LEVELS, endpoint=False), 0.0]:
        count, lakes = cv2.connectedComponents((certain & (height >= level)).astype(np.uint8), connectivity=8)
        if count == 1:
            continue
        of_pixel = lakes.ravel()
        highest_first = np.argsort(-flat[peaks], kind="stable")
        peaks = peaks[highest_first]
        _, highest = np.unique(of_pixel[peaks], return_index=True)
        stays = flat[peaks] - level >= prominence
        stays[highest] = True
        peaks = np.concatenate([peaks[stays], _of_new_lakes(of_pixel, flat, of_pixel[peaks], count)])
    return np.divmod(np.sort(peaks), certain.shape[1])


def _of_new_lakes(of_pixel: IntArray, flat: Float32Array, known: IntArray, count: int) -> IntArray:
    """Return the flat index of the highest pixel of each connected component that has no peak yet."""
    is_new = np.ones(count, bool)
    is_new[known] = False
    is_new[0] = False
    if not is_new.any():
        return np.zeros(0, np.int64)
    inside = np.flatnonzero(is_new[of_pixel])
    inside = inside[np.argsort(-flat[inside], kind="stable")]
    _, first = np.unique(of_pixel[inside], return_index=True)
    return inside[first]


def spread(regions: IntArray, reach: float | None = None) -> IntArray:
    """Extend the regions of objects into the background, each cell of which goes to the nearest region.

    Args:
        regions: (r, r), the number of the object of each cell, 0 for background.
        reach: the largest distance of a cell from its region, in cells; unlimited by default.
    """
    if not regions.any():
        return regions
    away, nearest = cv2.distanceTransformWithLabels(
        (regions == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_pixel = np.zeros(int(nearest.max()) + 1, np.int64)
    of_pixel[nearest[regions != 0]] = regions[regions != 0]
    found = of_pixel[nearest]
    return found if reach is None else np.where(away <= reach, found, 0)


def depths(certain: BoolArray) -> Float32Array:
    """Return how deep inside the foreground each pixel is: (r, r), 0 outside and 1 at the deepest pixel of each
    connected component.

    APMs learn it as their distance map; for an APM without such a map, it is computed from the saliency.
    """
    count, parts = cv2.connectedComponents(certain.astype(np.uint8), connectivity=8)
    inside = cv2.distanceTransform(np.pad(certain.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    deepest = np.full(count, 1e-6, np.float32)
    np.maximum.at(deepest, parts.ravel(), inside.ravel())
    return (inside / deepest[parts]).astype(np.float32)


def prompts_in_frame(boxes: IntArray, points: IntArray, cell: float) -> tuple[Float32Array, Float32Array]:
    """Convert boxes (K, 4) and points (K, 2) from cells to pixels of the model frame: boxes to first and last pixels.

    Args:
        boxes: ``left``, ``top``, ``right``, ``bottom`` in cells; right and bottom are exclusive.
        points: columns and rows of cells.
        cell: width of a cell, in pixels of the model frame.
    """
    first, end = boxes[:, :2] * cell, boxes[:, 2:] * cell - 1
    framed = np.concatenate([first, np.maximum(end, first)], 1)
    return framed.astype(np.float32), ((points + 0.5) * cell - 0.5).astype(np.float32)
