"""The predicted labels of an image or a volume, and the origin of each label."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import BoolArray, Float32Array, IntArray, Uint8Array, Uint16Array
from promise_seg.images.formats.source import Source
from promise_seg.instances.facts import FoundObject
from promise_seg.prediction.large_images import strips_of
from promise_seg.trust.trust_model import Trust


@dataclass(frozen=True)
class Origin:
    """The prompts behind the mask of a label, its predicted IoU, and its trust if the model was calibrated.

    Shape: points (N, 2) and boxes (K, 4) in the image frame; point labels (N,).
    """

    points_xy_image: Float32Array
    point_labels: IntArray
    predicted_iou: float
    trust: Trust | None = None
    boxes_xyxy_image: Float32Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass(frozen=True)
class LabelledSlice:
    """Labels (H, W), with 0 for background, and the origin of each label.

    If ``objects`` is given, the labels are the numbers of objects, which all belong to the only label in ``origins``.
    """

    labels: Uint16Array
    origins: dict[int, Origin]
    objects: tuple[FoundObject, ...] | None = None

    def mask_of(self, label: int) -> BoolArray:
        """Return the mask (H, W) of a label."""
        return self.labels > 0 if self.objects is not None else self.labels == label

    def area_of(self, label: int) -> int:
        """Return the number of pixels of a label, counted strip by strip."""
        strips = strips_of(self.labels)
        if self.objects is not None:
            return sum(int(np.count_nonzero(strip)) for strip in strips)
        return sum(int(np.count_nonzero(strip == label)) for strip in strips)


@dataclass(frozen=True)
class Labelled:
    """The labels of a single image, or of all slices of a volume.

    Args:
        source: the opened input file.
        slices: the labels of each slice; a single image has one slice.
        names: maps each label to its name.
        is_binary: whether the only label is not a class of a label map.
        separate_objects: whether each connected component is an object of its own.
        picture: pixels (H, W, 3) of a single image, in the image frame, if they are still in memory.
        notes: notes about rules for volumes that could not be applied.
    """

    source: Source
    slices: tuple[LabelledSlice, ...]
    names: dict[int, str]
    is_binary: bool
    separate_objects: bool
    picture: Uint8Array | None = None
    notes: tuple[str, ...] = ()

    @property
    def are_instances(self) -> bool:
        """Whether the labels are the numbers of separate objects."""
        return any(one.objects is not None for one in self.slices)

    @property
    def dtype(self) -> npt.DTypeLike:
        """The smallest type that holds the labels; always 16 bits for instance maps."""
        return np.uint16 if self.are_instances or max(self.names) >= 256 else np.uint8

    @property
    def labels(self) -> Uint16Array:
        """The label map in the shape and axis order of the array in the file.

        Shape: (I, J, K) for volumes with patient coordinates, such as NIfTI, NRRD and MetaImage; (N, H, W) for other
            volumes; (H, W) for a single image.
        """
        if not self.source.is_volume:
            return self.slices[0].labels
        frame = self.source.frame
        return self.stack if frame is None else frame.from_slices(self.stack)

    @property
    def stack(self) -> Uint16Array:
        """The labels of all slices, (N, H, W)."""
        return np.stack([one.labels for one in self.slices])
