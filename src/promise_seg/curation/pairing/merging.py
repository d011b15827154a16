"""Merge several masks of an image into one: a mask, a label map or an instance map, as a 16-bit PNG or as NIfTI."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from promise_seg.arrays import BoolArray, Uint16Array
from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.curation.pairing.merging_volumes import is_merged_volume, merge_volumes
from promise_seg.errors import ImageError, ManifestError, MaskError, PromiseError, SizeError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.kinds import kind_of, stem_of
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.source import Source
from promise_seg.images.guarding import guarded
from promise_seg.images.masks import LARGEST_LABEL, refuse_nan
from promise_seg.images.readers import read_labels
from promise_seg.progress import Progress, counted, silent
from promise_seg.storage.files import write_whole
from promise_seg.vocabulary import Several

_MARK = "promise-seg-merged-from"
"""The key of the text chunk in merged PNG files that identifies the masks they were made from."""
_SHOWN = 3
_FOREGROUND = 255


@dataclass
class Merging:
    """The result of merging: ``pairs`` are the given pairs with merged masks.

    ``how`` is the way in which masks were merged last, ``classes`` are the names of classes, with numbers from 1 in
    this order. ``made`` and ``kept`` count maps that were written or reused, ``objects`` the masks merged into them;
    ``overlapping`` lists images with overlapping objects among those written now; ``problems`` has a line for each
    image that was left out. If ``writing`` is not set, only existing maps are used.
    """

    pairs: list[ImagePair] = field(default_factory=list)
    how: Several = Several.AUTO
    classes: list[str] = field(default_factory=list)
    objects: int = 0
    made: int = 0
    kept: int = 0
    overlapping: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    writing: bool = True

    def remarks(self) -> list[str]:
        """Return a line about images that were left out and a line about overlaps, if there are any."""
        lines = []
        if self.problems:
            lines.append(
                f"{len(self.problems)} image(s) left out, because their masks cannot be merged: {self._examples()}"
            )
        if self.overlapping:
            lines.append(
                f"masks of objects overlap in {len(self.overlapping)} image(s); the later one by name wins: "
                f"{', '.join(map(str, self.overlapping[:_SHOWN]))}{' ...' * (len(self.overlapping) > _SHOWN)}"
            )
        return lines

    def _examples(self) -> str:
        more = f"; and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        return "; ".join(self.problems[:_SHOWN]) + more


def merge_objects(
    pairs: Sequence[ImagePair],
    folder: Path,
    into: Path,
    progress: Progress = silent,
    several: Several = Several.AUTO,
    *,
    writing: bool = True,
) -> Merging:
    """Merge the masks of all pairs that have several; other pairs are returned unchanged.

    An existing map that was made from the same files in the same way is reused. A map of an earlier version, which took
    NaN for foreground, is made again, or, if nothing is written, reused if the masks contain no NaN.

    Args:
        pairs: the pairs in ``folder``.
        folder: the folder of the data set.
        into: the folder for the maps, which are named after their images or the folders of their masks.
        progress: called for each pair.
        several: what the masks are merged into: a mask, instances or classes.
        writing: whether missing maps are written; otherwise their pairs are left out.

    Raises:
        ManifestError: if no pair is left, and ``writing`` is set.
        PromiseError: if a map cannot be written, or a file that is not a merged mask is in its place.
    """
    names = sorted({part for pair in pairs for part in pair.parts if not part.isdecimal()} - {""})
    done = Merging(writing=writing, classes=names if _made_of(several, names) == Several.CLASSES else [])
    for pair in counted(pairs, progress, "merging masks"):
        if pair.objects:
            done.how = Several.INSTANCES if several == Several.AUTO and not pair.parts else _made_of(several, names)
            try:
                with guarded(pair.image):
                    _merge(pair, _place(pair, folder, into), done)
            except ImageError as error:
                done.problems.append(str(error))
        else:
            done.pairs.append(pair)
    if not done.pairs and writing:
        raise ManifestError(f"{folder}: no image is left, because masks cannot be merged: {done._examples()}")
    if done.classes and writing:
        table = {name: number for number, name in enumerate(done.classes, 1)}
        write_whole(into / "classes.json", lambda p: p.write_text(json.dumps(table, indent=1) + "\n", "utf-8"))
    return done


def _made_of(several: Several, names: Sequence[str]) -> Several:
    if several == Several.AUTO:
        return Several.CLASSES if names else Several.MASK
    return several


def _place(pair: ImagePair, folder: Path, into: Path) -> Path:
    """Return the path of the map of a pair, without its suffix."""
    if not pair.parts:
        return into / pair.mask.parent.relative_to(folder)
    return into / pair.image.parent.relative_to(folder) / stem_of(pair.image)


def _merge(pair: ImagePair, place: Path, done: Merging) -> None:
    key, earlier_key = _keys(pair, done)
    numbers = _numbers(pair, done)
    is_volume = kind_of(pair.objects[0]) is NiftiVolume
    path = place.with_name(f"{place.name}{'.nii.gz' if is_volume else '.png'}")
    is_there = partial(is_merged_volume if is_volume else _is_there, path)
    if is_there(key):
        done.kept += 1
    elif not done.writing and is_there(earlier_key):
        for mask in pair.objects:
            refuse_nan(open_source(mask).array, mask)
        done.kept += 1
    elif not done.writing:
        raise ImageError(f"{path}: is not there")
    elif is_volume:
        done.overlapping += [pair.image] if merge_volumes(pair, numbers, path, key) else []
        done.made += 1
    else:
        merged, overlaps = instance_map(pair, numbers)
        text = PngInfo()
        text.add_text(_MARK, key)
        write_whole(path, lambda p: Image.fromarray(merged).save(p, format="PNG", pnginfo=text))
        done.made += 1
        done.overlapping += [pair.image] if overlaps and done.how != Several.MASK else []
    done.objects += len(pair.objects)
    done.pairs.append(replace(pair, mask=path, objects=(), parts=()))


def _numbers(pair: ImagePair, done: Merging) -> list[int]:
    """Return the value in the map for each mask of a pair.

    Raises:
        MaskError: if classes are merged, and a mask is not named after a class.
    """
    if done.how == Several.CLASSES:
        unknown = [part for part in pair.parts if part not in done.classes]
        if unknown or not pair.parts:
            raise MaskError(
                f"{pair.image}: the name of its mask {pair.objects[0]} contains none of the classes. Rename the mask"
            )
        return [done.classes.index(part) + 1 for part in pair.parts]
    if done.how == Several.MASK:
        return [_FOREGROUND] * len(pair.objects)
    return list(range(1, len(pair.objects) + 1))


def instance_map(pair: ImagePair, numbers: Sequence[int]) -> tuple[Uint16Array, bool]:
    """Merge the masks of a pair into a map (H, W) of their numbers, later masks on top; and return whether any overlap.

    Raises:
        ImageError: if there are too many masks or slices, or a file is unreadable, differs in size from the image, or
            is not a mask of one object.
    """
    image = open_source(pair.image)
    if len(image) != 1 or len(pair.objects) > LARGEST_LABEL:
        raise ImageError(
            f"{pair.image}: has {len(image)} slice(s) and {len(pair.objects)} masks of objects; expected one slice and "
            f"at most {LARGEST_LABEL} masks. Provide a single mask with the name of the image"
        )
    merged = np.zeros(image.channel_values(0, 0).shape, np.uint16)
    overlaps = False
    for number, path in zip(numbers, pair.objects, strict=True):
        inside = _object(path, image, merged.shape)
        overlaps = overlaps or bool(np.setdiff1d(merged[inside], [0, number]).size)
        merged[inside] = number
    return merged, overlaps


def _object(path: Path, image: Source, shape: tuple[int, ...]) -> BoolArray:
    labels = read_labels(path, image)
    if labels.shape != shape:
        raise SizeError(
            f"{path}: the mask has {labels.shape[1]} x {labels.shape[0]} pixels, but its image {image.path} has "
            f"{shape[1]} x {shape[0]}. Both must have the same size"
        )
    refuse_nan(labels, path)
    values = np.unique(labels)
    if np.count_nonzero(values) > 1:
        raise MaskError(
            f"{path}: has {len(values)} values from {values[0]} to {values[-1]}; expected a mask of one object, with 0 "
            "and one other value. Save it as PNG, without intermediate grey values"
        )
    return np.asarray(labels != 0)


def _keys(pair: ImagePair, done: Merging) -> tuple[str, str]:
    """Return a key that changes with the names, sizes and times of the files, and the way in which they are merged.

    The second key is that of earlier versions, which merged NaN as foreground. Both are the same if no mask is of a
    format that can hold NaN.
    """
    try:
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in (pair.image, *pair.objects)]
    except OSError as error:
        raise ImageError(f"{error.filename}: cannot be opened: {error.strerror}") from error
    parts = [facts, done.how, done.classes]
    may_have_nan = any(kind_of(mask) not in (Picture, DicomImage) for mask in pair.objects)
    keys = ([*parts, "no NaN"] if may_have_nan else parts, parts)
    new, earlier = (hashlib.sha256(json.dumps(one).encode()).hexdigest() for one in keys)
    return new, earlier


def _is_there(path: Path, key: str) -> bool:
    """Whether a map with this key exists.

    Raises:
        PromiseError: if the file exists, but is not a merged mask.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            mark = image.info.get(_MARK)
    except FileNotFoundError:
        return False
    except (OSError, SyntaxError, ValueError):  # the errors that Pillow raises for damaged files
        mark = None
    if mark is None:
        raise PromiseError(
            f"{path}: already exists, and is not a merged mask of promise data make. Move it away, or choose another -o"
        )
    return bool(mark == key)
