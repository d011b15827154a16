"""The separate objects that a model finds in an image, as returned by the Python API."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from promise_seg.arrays import Uint8Array, Uint16Array
from promise_seg.images.formats.source import Source
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.instances.facts import FoundObject
from promise_seg.prediction.overlay import draw_instances
from promise_seg.prediction.reading import ImageLike, read_rgb_of_size
from promise_seg.quantities import count_in_words


@dataclass(frozen=True, eq=False)
class Instances:
    """The objects of an image.

    Shape: ``labels`` (H, W) uint16 in the image frame: 0 for background and 1, 2, ... for the objects, without gaps;
        ``objects`` has the measurements of each object, in this order.
    """

    labels: Uint16Array
    objects: tuple[FoundObject, ...]

    def __repr__(self) -> str:
        """Return the number of objects and the size of the image."""
        height, width = self.labels.shape
        return f"Instances({count_in_words(len(self), 'object')} in an image of {height} x {width})"

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.objects)

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each object, with the columns of ``objects.csv``."""
        return [one.record() for one in self.objects]

    def overlay(self, image: ImageLike, reading: Reading = DEFAULT_READING) -> Uint8Array:
        """Draw the outline of each object on an image; return RGB pixels (H, W, 3) uint8.

        Args:
            image: the image that was predicted, or another of the same size: a path, a slice, pixels or a PIL image.
            reading: how a file is read, such as ``model.reading``; needed for anything but plain 8-bit images.

        Raises:
            ImageError: if the image cannot be read.
            SettingsError: if the image and the instance map differ in size.
        """
        return draw_instances(read_rgb_of_size(image, reading, self.labels.shape, "instance map"), self.labels)


def spacing_of(source: object) -> tuple[float, float] | None:
    """Return the distances between rows and between columns of an image in mm, if it is a file that states them."""
    return source.spacing if isinstance(source, Source) else None


def with_offset(labels: Uint16Array, offset: int) -> Uint16Array:
    """Return an instance map with an offset added to the number of each object."""
    return np.where(labels > 0, labels + np.uint16(offset), 0).astype(np.uint16)
