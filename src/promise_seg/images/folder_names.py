"""The usual names of folders of images and of masks, in lower case and without spaces, dashes and underscores."""

import re

IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "original"})
MASK_FOLDERS = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth", "segmentations",
     "segmentation"}
)  # fmt: skip


def plain(name: str) -> str:
    """Return a name as it is written in :data:`IMAGE_FOLDERS` and :data:`MASK_FOLDERS`."""
    return re.sub(r"[ _-]", "", name.lower())
