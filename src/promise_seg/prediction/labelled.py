"""The labels of a picture or a volume, and what each came from."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from promise_seg.arrays import BoolArray, Uint8Array, Uint16Array
from promise_seg.images.formats.source import Source
from promise_seg.instances.facts import FoundObject
from promise_seg.prediction.large_images import strips_of
from promise_seg.trust.trust_model import Trust


@dataclass(frozen=True)
class Origin:
    """The origin of the mask of a label: points (N, 2) in the image frame with labels (N,), boxes (K, 4), its predicted
    IoU, and how far to trust it, if its model was calibrated."""

    points_xy_image: npt.NDArray[np.float32]
    point_labels: npt.NDArray[np.int64]
    predicted_iou: float
    trust: Trust | None = None
    boxes_xyxy_image: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass(frozen=True)
class LabelledSlice:
    """Labels (H, W), 0 for background, and what each came from.

    With ``objects`` the labels are the numbers of objects, all of the only label in ``origins``.
    """

    labels: Uint16Array
    origins: dict[int, Origin]
    objects: tuple[FoundObject, ...] | None = None

    def mask_of(self, label: int) -> BoolArray:
        """The mask (H, W) of a label."""
        return self.labels > 0 if self.objects is not None else self.labels == label

    def area_of(self, label: int) -> int:
        """The pixels of a label, counted some rows at a time."""
        strips = strips_of(self.labels)
        if self.objects is not None:
            return sum(int(np.count_nonzero(strip)) for strip in strips)
        return sum(int(np.count_nonzero(strip == label)) for strip in strips)


@dataclass(frozen=True)
class Labelled:
    """The labels of a picture's only slice, or of all slices of a volume; ``names`` has one for each label.

    ``is_binary`` says that the only label is not a class of a label map; ``separate_objects`` that what is not
    connected is one object each. ``picture`` are the pixels (H, W, 3) of a picture, in the image frame, where they are
    still known. ``notes`` say what could not be done as the models' rules for volumes say.
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
        """The smallest type that holds the labels; 16 bits for instance maps, however few objects there are."""
        return np.uint16 if self.are_instances or max(self.names) >= 256 else np.uint8

    @property
    def labels(self) -> Uint16Array:
        """The label map in the shape and order of the file's own array: (I, J, K) of NIfTI, NRRD and MetaImage with a
        place in the patient, (N, H, W) of other volumes, (H, W) of a picture."""
        if not self.source.is_volume:
            return self.slices[0].labels
        frame = self.source.frame
        return self.stack if frame is None else frame.from_slices(self.stack)

    @property
    def stack(self) -> Uint16Array:
        """All slices: (N, H, W)."""
        return np.stack([one.labels for one in self.slices])
