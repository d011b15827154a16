"""Signs that masks do not match their images: foreground where background is usual, or another orientation."""

from dataclasses import dataclass

from promise_seg.arrays import BoolArray
from promise_seg.images.formats.source import Source

_KEPT_PLACES = (2, 3, 4)
"""The EXIF orientations that keep width and height: mirrored, rotated by 180 degrees, upside down."""


def looks_inverted(mask: BoolArray) -> bool:
    """Whether the foreground of a mask (H, W) is where the background usually is.

    This holds if it covers all four corners, more than half of the border, or more than half of the image.
    """
    corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]]
    border = mask.copy()
    border[1:-1, 1:-1] = False
    height, width = mask.shape
    length = height * width - max(0, height - 2) * max(0, width - 2)
    return bool(corners.all() or border.sum() * 2 > length or mask.sum() * 2 > mask.size)


@dataclass
class InvertedMasks:
    """Counts of the masks with an object, ``filled``, and of the masks among them that look inverted."""

    filled: int = 0
    inverted: int = 0

    def add(self, mask: BoolArray) -> None:
        """Count a mask (H, W) unless it is empty."""
        if mask.any():
            self.filled += 1
            self.inverted += looks_inverted(mask)

    def warning(self) -> str | None:
        """Return a warning if more than half of the masks look inverted, otherwise ``None``."""
        if self.inverted * 2 <= self.filled:
            return None
        return (
            f"in {self.inverted} of {self.filled} mask(s) with an object, the object covers all four corners, or more "
            "than half of the border or of the image. They may be inverted: promise data show draws them on the images"
        )


def turned_apart(image: Source, mask: Source | None, shape: tuple[int, int]) -> str | None:
    """Return a warning if an image and its mask have different stored orientations, and their sizes do not show it.

    Args:
        image: the image.
        mask: its mask; ``None`` for a DICOM segmentation.
        shape: height and width of both.
    """
    of_mask = 1 if mask is None else mask.turned
    if image.turned == of_mask or (shape[0] != shape[1] and not {image.turned, of_mask} & set(_KEPT_PLACES)):
        return None
    mask_path = "its segmentation" if mask is None else mask.path
    return (
        f"{image.path}: is stored with the orientation {image.turned}, and its mask {mask_path} with {of_mask} (1 is "
        "upright; EXIF and TIFF number them so), so they are not turned alike. If the mask was drawn on the pixels "
        "as they are stored, give both the same orientation; promise data show shows whether they fit"
    )
