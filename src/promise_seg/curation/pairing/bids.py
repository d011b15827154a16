"""Pair images and masks of BIDS data sets, whose file names consist of entities: ``sub-01_ses-1_T1w.nii.gz``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from promise_seg.curation.pairing.matching import ImagePair, Matches
from promise_seg.curation.pairing.scanning import Entry, Scan

_ENTITY = re.compile(r"([a-zA-Z]+)-([a-zA-Z0-9]+)")
_MASKS = frozenset({"mask", "dseg", "roi", "seg", "lesion"})
_IMAGES = ("T1w", "FLAIR", "T2w", "T1c", "ct", "CT", "T2star", "PD", "PDw", "dwi", "adc", "ADC", "UNIT1", "bold")
"""Suffixes of images, in order of preference if a mask does not name the image that it was drawn on."""
_NOT_OF_THE_IMAGE = frozenset({"label", "desc", "atlas", "res", "den", "hemi"})


@dataclass(frozen=True)
class _Name:
    entry: Entry
    entities: Mapping[str, str]
    suffix: str
    words: tuple[str, ...]

    @property
    def of_image(self) -> set[tuple[str, str]]:
        """The entities that the image of this mask must have as well."""
        return {(key, value) for key, value in self.entities.items() if key not in _NOT_OF_THE_IMAGE}


def _name(entry: Entry) -> _Name | None:
    *entities, suffix = entry.stem.split("_")
    found = [_ENTITY.fullmatch(part) for part in entities]
    keyed = {match[1]: match[2] for match in found if match}
    words = tuple(part for part, match in zip(entities, found, strict=True) if not match)
    return _Name(entry, keyed, suffix, words) if "sub" in keyed else None


def match_bids(contents: Scan) -> Matches:
    """Pair masks with the image of the same subject, session and other entities; the subject is the group."""
    found = Matches(ignored=list(contents.ignored), folders=set(contents.folders))
    names = [(entry, _name(entry)) for entry in contents.entries]
    masks = [name for _, name in names if name and name.suffix in _MASKS]
    if not masks:
        return found
    images = [name for _, name in names if name and name.suffix not in _MASKS and "label" not in name.entities]
    found.unnamed = [entry.path for entry, name in names if name is None]
    taken: dict[Entry, list[_Name]] = {}
    for mask in masks:
        image = _image_of(mask, images)
        if image is None:
            found.masks_alone.append(mask.entry.path)
        else:
            taken.setdefault(image.entry, []).append(mask)
    several = len({_label(mask) for own in taken.values() for mask in own}) > 1
    for image in images:
        own = taken.get(image.entry, [])
        labels = tuple(_label(mask) for mask in own)
        if not own:
            has_subject = any(image.entities["sub"] == other.entities["sub"] for other in masks)
            (found.unused if has_subject else found.images_alone).append(image.entry.path)
        elif len(set(labels)) < len(own):
            listed = ", ".join(mask.entry.path.name for mask in own)
            found.clashes.append(f"{image.entry.path}: has several masks: {listed}")
        else:
            found.pairs.append(_pair(image, own, labels if several else ()))
    return found


def _label(mask: _Name) -> str:
    return mask.entities.get("label", mask.entities.get("desc", ""))


def _pair(image: _Name, own: list[_Name], parts: tuple[str, ...]) -> ImagePair:
    mask = own[0].entry.path
    objects = tuple(one.entry.path for one in own) if parts else ()
    return ImagePair(
        image.entry.path, mask.parent if parts else mask, image.entry.stem, None, "", f"sub-{image.entities['sub']}",
        objects, parts,
    )  # fmt: skip


def _image_of(mask: _Name, images: list[_Name]) -> _Name | None:
    """Return the image with the entities of a mask and the fewest others, preferably with a suffix in its name."""
    fitting = [image for image in images if mask.of_image <= set(image.entities.items())]
    named = [image for image in fitting if image.suffix in mask.words]
    ranked = sorted(named or fitting, key=lambda image: (len(image.entities), _rank(image.suffix)))
    return ranked[0] if ranked else None


def _rank(suffix: str) -> int:
    return _IMAGES.index(suffix) if suffix in _IMAGES else len(_IMAGES)
