"""Find a part of a set, its images and their masks, among unpacked folders."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.curation.sets.known_sets import Part
from promise_seg.errors import PromiseError
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.tiff import TiffStack

_SUFFIXES = frozenset({*Picture.suffixes, *TiffStack.suffixes})

Folders = dict[Path, list[Path]]
"""Folders that hold pictures, with these, in the order of their names."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask, as they were unpacked."""

    image: Path
    mask: Path


def picture_folders(roots: Sequence[Path]) -> Folders:
    """All folders with pictures below the roots, leaving out what is hidden."""
    found: Folders = {}
    for root in roots:
        for place, subfolders, names in os.walk(root):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__MACOSX")
            folder = Path(place)
            pictures = [
                folder / n for n in sorted(names) if not n.startswith(".") and Path(n).suffix.lower() in _SUFFIXES
            ]
            if pictures:
                found[folder] = pictures
    return found


def find_pairs(folders: Folders, part: Part, where: str) -> list[Pair]:
    """The pairs of a part, in the order of the images' names.

    The first folders, in the order of the part's patterns and then of their paths, that hold exactly its number of
    pairs are taken; a folder of masks beside that of the images goes before others.

    Raises:
        PromiseError: if no folders hold that many.
    """
    for image_end in part.images:
        for images in _ending_in(folders, image_end):
            masks = [m for end in part.masks for m in _ending_in(folders, end) if m != images]
            for place in sorted(masks, key=lambda m: m.parent != images.parent):
                pairs = _pair(folders[images], folders[place], part)
                if len(pairs) == part.count == len(folders[images]):
                    return pairs
    there = "; ".join(
        f"{folder.parent.name}/{folder.name} ({len(files)} pictures)" for folder, files in folders.items()
    )
    raise PromiseError(
        f"{where}: no folder with {part.count:,} images and another with their masks; expected "
        f"{' or '.join(part.images)} and {' or '.join(part.masks)}, found {there or 'no pictures'}. "
        "Give the archive as it was published, or the folder that it unpacks to"
    )


def _ending_in(folders: Folders, end: str) -> list[Path]:
    parts = tuple(end.casefold().split("/"))
    return [f for f in folders if tuple(name.casefold() for name in f.parts[-len(parts) :]) == parts]


def _pair(images: Sequence[Path], masks: Sequence[Path], part: Part) -> list[Pair]:
    by_stem = {mask.stem: mask for mask in masks}
    pairs = {}
    for image in images:
        for pattern in part.mask_stem:
            if mask := by_stem.get(pattern.format(image.stem)):
                pairs[image.stem] = Pair(image, mask)
                break
    return list(pairs.values())
