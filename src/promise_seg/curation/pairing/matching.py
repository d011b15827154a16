"""Match masks with images by the stems of their file names; ambiguous matches are reported and never guessed."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from promise_seg.curation.pairing.patterns import plain_numbers
from promise_seg.curation.pairing.scanning import Entry, composed, scan
from promise_seg.curation.pairing.schemes import IMAGE_WORDS, MASK_WORDS
from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.listing import visible
from promise_seg.vocabulary import Split

_WORDS = "|".join(MASK_WORDS)
_ENDING = re.compile(rf"(.+?)[_\-. ](?:{_WORDS})(?:[_-]?\d+)?", re.IGNORECASE)
_BEGINNING = re.compile(rf"(?:{_WORDS})[_\-. ](.+)", re.IGNORECASE)
_NUMBERED = re.compile(rf"(.+[_\-. ](?:{_WORDS}))(?:[_-]?(\d+))?", re.IGNORECASE)
_IMAGE_WORD = re.compile(
    rf"(?:{'|'.join(IMAGE_WORDS)})[_\-. ](.+)|(.+)[_\-. ](?:{'|'.join(IMAGE_WORDS)})", re.IGNORECASE
)

Key = tuple[str, str]


def same_stem(stem: str) -> str | None:
    """Return the stem of an image unchanged, for masks with the same name as their image."""
    return stem


@dataclass(frozen=True)
class LayoutPart:
    """A folder of images and the folder of their masks, which may be the same folder.

    ``image_stem`` maps the stem of an image file to that of its mask, or to None for files that are not used.
    ``split`` is None and ``group`` empty if the layout does not define them. ``holds_one`` means that there is a single
    image: if no mask has its name, all masks belong to it, one per object.
    """

    images: Path
    masks: Path
    split: Split | None = None
    dataset: str = ""
    image_stem: Callable[[str], str | None] = same_stem
    group: str = ""
    holds_one: bool = False


@dataclass(frozen=True)
class ImagePair:
    """An image and its mask; ``stem`` is the stem of the image file.

    If ``objects`` lists several masks, ``mask`` is their folder until they are merged. They are masks of single
    objects, unless ``parts`` has a label for each: the number of a part of one structure, or the name of a class.
    ``slices`` are the indices of the slices to use; all if there are none.
    """

    image: Path
    mask: Path
    stem: str
    split: Split | None
    dataset: str
    group: str = ""
    objects: tuple[Path, ...] = ()
    parts: tuple[str, ...] = ()
    slices: tuple[int, ...] = ()


@dataclass
class Matches:
    """All files of a folder, each in one of the lists, so that none is dropped silently.

    ``clashes`` has a line for each image with more than one possible pairing; ``unused`` are images that the layout
    excludes, such as further channels; ``ignored`` are files with unknown suffixes; ``unnamed`` are images or masks
    with names that the layout does not define. ``cautions`` are notes on likely but uncertain assumptions. ``told_by``
    are text files that state which files belong together. ``folders`` are the folders that were scanned.
    """

    pairs: list[ImagePair] = field(default_factory=list)
    images_alone: list[Path] = field(default_factory=list)
    masks_alone: list[Path] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    unused: list[Path] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    unnamed: list[Path] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    told_by: list[Path] = field(default_factory=list)


def bare_stems(mask_stem: str) -> list[str]:
    """Return other stems that the image of a mask may have: ``a`` for ``a_mask``, ``mask_a``, ``a_seg_2``.

    The first stem with an image is used.
    """
    matches = (pattern.fullmatch(mask_stem) for pattern in (_ENDING, _BEGINNING))
    return [match[1] for match in matches if match]


def split_images_and_masks(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Separate the images and the masks of a folder that contains both.

    A file is a mask if it is named after another file (``a_mask`` next to ``a``), or if it has the name of a mask and
    no other file is named after it (``a_mask`` alone, but not ``colon_seg_1`` next to ``colon_seg_1_mask``).
    """
    keys = {entry.key for entry in entries}
    named_after = {entry: [(entry.key[0], stem) for stem in bare_stems(entry.key[1])] for entry in entries}
    claimed = {key for options in named_after.values() for key in options}

    def is_mask(entry: Entry) -> bool:
        options = named_after[entry]
        return any(key in keys for key in options) or (bool(options) and entry.key not in claimed)

    return [e for e in entries if not is_mask(e)], [e for e in entries if is_mask(e)]


def _scan_part(part: LayoutPart, found: Matches) -> tuple[list[Entry], list[Entry]]:
    images = scan(part.images, singly=_mask_stems(part))
    scans = [images]
    if part.masks == part.images:
        image_entries, mask_entries = split_images_and_masks(images.entries)
    else:
        series = {entry.key for entry in images.entries if entry.path.is_dir()}
        masks = scan(part.masks, series)
        scans.append(masks)
        image_entries, mask_entries = images.entries, masks.entries
    for scanned in scans:
        found.ignored += scanned.ignored
        found.folders |= scanned.folders
    return image_entries, mask_entries


def _names(entries: Sequence[Entry], folder: Path) -> str:
    names = [entry.path.relative_to(folder).as_posix() for entry in entries]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _core(stem: str) -> str:
    """Return the stem of an image without a word such as ``image`` and without leading zeros of numbers."""
    match = _IMAGE_WORD.fullmatch(stem)
    return plain_numbers((match[1] or match[2]) if match else stem)


def numbered_parts(stems: Sequence[str]) -> list[str] | None:
    """Return the numbers of the masks of an image, empty for none; ``None`` if their stems differ in anything else."""
    found = [_NUMBERED.fullmatch(stem) for stem in stems]
    numbers = [match[2] or "" if match else "" for match in found]
    is_one = len({match[1].lower() if match else stem for match, stem in zip(found, stems, strict=True)}) == 1
    return numbers if is_one and len(set(numbers)) == len(stems) else None


def match(part: LayoutPart) -> Matches:
    """Pair the images of a part with its masks, by subfolder and stem.

    A mask belongs to the image with the same stem or, if there is none, to the image that it is named after, otherwise
    to the only image whose name differs just by a word such as ``image`` or by leading zeros. If two images have the
    same stem, or an image has several masks that are not numbered, none of them is paired.
    """
    found = Matches()
    image_entries, mask_entries = _scan_part(part, found)
    images = defaultdict[Key, list[Entry]](list)
    for entry in image_entries:
        stem = part.image_stem(entry.stem)
        if stem is None:
            found.unused.append(entry.path)
        else:
            images[entry.key[0], composed(stem)].append(entry)
    masks = _by_owner(images, mask_entries, found)
    for key, candidates in images.items():
        own = masks[key]
        numbers = numbered_parts([mask.key[1] for mask in own])
        if len(candidates) > 1:
            found.clashes.append(f"{part.images}: {_names(candidates, part.images)} have the same stem")
        elif len(own) > 1 and numbers:
            pair = _pair(part, candidates[0], own[0].path.parent, tuple(mask.path for mask in own))
            found.pairs.append(replace(pair, parts=tuple(numbers)))
        elif len(own) > 1:
            found.clashes.append(f"{candidates[0].path}: has several masks: {_names(own, part.masks)}")
        elif not own:
            found.images_alone.append(candidates[0].path)
        else:
            found.pairs.append(_pair(part, candidates[0], only_file(own[0].path)))
    if part.holds_one and len(image_entries) == 1 and mask_entries and len(found.masks_alone) == len(mask_entries):
        objects = tuple(found.masks_alone)
        found.pairs = [_pair(part, image_entries[0], part.masks, objects)]
        found.images_alone, found.masks_alone = [], []
    return found


def _by_owner(
    images: Mapping[Key, Sequence[Entry]], mask_entries: Sequence[Entry], found: Matches
) -> defaultdict[Key, list[Entry]]:
    """Return the masks of each image, and add masks without an image to ``found``."""
    cores = defaultdict[Key, list[Key]](list)
    for parent, stem in images:
        cores[parent, _core(stem)].append((parent, stem))
    masks = defaultdict[Key, list[Entry]](list)
    for entry in mask_entries:
        parent, own = entry.key
        stems = (own, *bare_stems(own))
        owner = next(((parent, stem) for stem in stems if (parent, stem) in images), None)
        if owner is None:
            alike = (cores.get((parent, _core(stem)), []) for stem in stems)
            owner = next((keys[0] for keys in alike if len(keys) == 1), None)
        if owner is None:
            found.masks_alone.append(entry.path)
        else:
            masks[owner].append(entry)
    return masks


def _pair(part: LayoutPart, image: Entry, mask: Path, objects: tuple[Path, ...] = ()) -> ImagePair:
    return ImagePair(image.path, mask, image.stem, part.split, part.dataset, part.group, objects)


def _mask_stems(part: LayoutPart) -> Callable[[str], set[str]]:
    """Return a function that maps a subfolder of images to the stems of images that have mask files of their own."""

    def stems(below: str) -> set[str]:
        folder = part.masks / below
        if not folder.is_dir():
            return set()
        names = [composed(stem_of(path)) for path in visible(folder) if path.is_file()]
        if part.masks == part.images:  # slices and their masks in the same folder
            names = [name for name in names if any(bare in names for bare in bare_stems(name))]
        return {stem for name in names for stem in (name, *bare_stems(name))}

    return stems


def only_file(mask: Path) -> Path:
    """Return the only file in a folder, such as the segmentation of a series; otherwise the path itself."""
    inside = visible(mask) if mask.is_dir() else []
    return inside[0] if len(inside) == 1 and inside[0].is_file() else mask
