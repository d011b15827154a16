"""The separate objects that a model finds in an image, for users of Python."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from promise_seg.arrays import Uint8Array, Uint16Array
from promise_seg.images.formats.source import Source
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.instances.facts import FoundObject
from promise_seg.prediction.overlay import draw_instances
from promise_seg.prediction.reading import ImageLike, read_rgb_of_size


@dataclass(frozen=True, eq=False)
class Instances:
    """The objects of an image.

    Shape: ``labels`` (H, W) uint16 in the image frame: 0 for background and 1, 2 ... without gaps, one for each object;
        ``objects`` has what is known of each, in this order.
    """

    labels: Uint16Array
    objects: tuple[FoundObject, ...] = field(repr=False)

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self.objects)

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each object, with the columns of ``objects.csv``."""
        return [one.record() for one in self.objects]

    def overlay(self, image: ImageLike, reading: Reading = DEFAULT_READING) -> Uint8Array:
        """Draw the outline of each object on an image; returns a picture (H, W, 3) uint8.

        Args:
            image: the image that was predicted, or another of its size: a path, a slice, pixels or an image of PIL.
            reading: how a file is read, as ``model.reading``, where it is not a plain picture.

        Raises:
            ImageError: if it cannot be read.
            SettingsError: if it has another size than the instance map.
        """
        return draw_instances(read_rgb_of_size(image, reading, self.labels.shape, "instance map"), self.labels)


def spacing_of(source: object) -> tuple[float, float] | None:
    """Return the distance between rows and between columns of an image in mm, if it is a file that tells it."""
    return source.spacing if isinstance(source, Source) else None


def with_offset(labels: Uint16Array, offset: int) -> Uint16Array:
    """Return an instance map whose numbers begin after those of the slices before it."""
    return np.where(labels > 0, labels + np.uint16(offset), 0).astype(np.uint16)
