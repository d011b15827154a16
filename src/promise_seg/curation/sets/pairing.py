"""Find the images and masks of a part of a data set in the folders of unpacked archives."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.curation.sets.known_sets import ArchivePart
from promise_seg.errors import PromiseError
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.tiff import TiffStack

_SUFFIXES = frozenset({*Picture.suffixes, *TiffStack.suffixes})

Folders = dict[Path, list[Path]]
"""Folders that contain images, mapped to these images in the order of their names."""


@dataclass(frozen=True)
class ArchivePair:
    """An unpacked image and its mask."""

    image: Path
    mask: Path


def picture_folders(roots: Sequence[Path]) -> Folders:
    """Return all folders with images below the roots, except hidden ones."""
    folders: Folders = {}
    for root in roots:
        for place, subfolders, names in os.walk(root):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__MACOSX")
            folder = Path(place)
            pictures = [
                folder / n for n in sorted(names) if not n.startswith(".") and Path(n).suffix.lower() in _SUFFIXES
            ]
            if pictures:
                folders[folder] = pictures
    return folders


def find_pairs(folders: Folders, part: ArchivePart, where: str) -> list[ArchivePair]:
    """Return the pairs of a part, in order of image name.

    The first folders with exactly the expected number of pairs are used, in the order of the part's path endings and
    then of their paths; a folder of masks next to the folder of images takes precedence over others.

    Raises:
        PromiseError: if no folders have the expected number of pairs.
    """
    for image_end in part.images:
        for images in _ending_in(folders, image_end):
            masks = [m for end in part.masks for m in _ending_in(folders, end) if m != images]
            for place in sorted(masks, key=lambda m: m.parent != images.parent):
                pairs = _pair(folders[images], folders[place], part)
                if len(pairs) == part.count == len(folders[images]):
                    return pairs
    there = "; ".join(f"{folder.parent.name}/{folder.name} ({len(files)} images)" for folder, files in folders.items())
    raise PromiseError(
        f"{where}: no folder with {part.count:,} images and another with their masks; expected "
        f"{' or '.join(part.images)} and {' or '.join(part.masks)}, found {there or 'no images'}. "
        "Pass the archive as it was published, or the folder that it unpacks to"
    )


def _ending_in(folders: Folders, end: str) -> list[Path]:
    parts = tuple(end.casefold().split("/"))
    return [f for f in folders if tuple(name.casefold() for name in f.parts[-len(parts) :]) == parts]


def _pair(images: Sequence[Path], masks: Sequence[Path], part: ArchivePart) -> list[ArchivePair]:
    by_stem = {mask.stem: mask for mask in masks}
    pairs = {}
    for image in images:
        for pattern in part.mask_stem:
            if mask := by_stem.get(pattern.format(image.stem)):
                pairs[image.stem] = ArchivePair(image, mask)
                break
    return list(pairs.values())
