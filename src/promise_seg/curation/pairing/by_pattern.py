"""Pair images with masks by two patterns of paths, whose wildcards must match the same text."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.curation.pairing.matching import ImagePair, Matches, only_file
from promise_seg.curation.pairing.patterns import PathPattern, path_pattern, plain_numbers
from promise_seg.curation.pairing.scanning import Entry, Scan, composed, scan
from promise_seg.curation.pairing.schemes import SPLIT_FOLDERS, Scheme
from promise_seg.errors import SettingsError

_Captured = Mapping[str, str]
_Found = list[tuple[Entry, _Captured]]
_Names = Callable[[str], str]


@dataclass(frozen=True)
class _Rule:
    """Two patterns; ``shared`` are the fields that define pairs, ``apart`` those that separate masks of one image."""

    images: PathPattern
    masks: PathPattern
    shared: tuple[str, ...]
    apart: tuple[str, ...]


def match_scheme(contents: Scan, scheme: Scheme) -> Matches:
    """Pair the files of a folder by one of the known naming schemes."""
    rule = _rule(path_pattern(scheme.images), path_pattern(scheme.masks))
    unused = [path_pattern(text) for text in scheme.unused]
    return _match(contents, rule, unused, group=scheme.group, in_order=scheme.in_order)


def match_patterns(folder: Path, images: str, masks: str) -> Matches:
    """Pair the files of a folder by two patterns given by the user.

    Patterns without slashes apply to every subfolder, and pair images and masks in the same subfolder.

    Raises:
        SettingsError: if a pattern is invalid, or the patterns do not determine which mask belongs to which image.
    """
    rule = _rule(path_pattern(images, "--images"), path_pattern(masks, "--masks"))
    if images.casefold() == masks.casefold():
        raise SettingsError(
            f"--images {images} --masks {masks}: both patterns are the same; expected patterns that distinguish masks "
            "from images"
        )
    missing = [field for field in rule.images.fields if field.isdecimal() and field not in rule.masks.fields]
    if missing or not rule.shared:
        raise SettingsError(
            f"--images {images} --masks {masks}: the pattern of the masks has fewer wildcards than that of the "
            "images, or shares no field with it; expected the same wildcards in the same order in both, or fields of "
            "the same name, such as '{case}/ct.nii.gz' and '{case}/seg.nii.gz'"
        )
    if "/" not in images + masks:
        rule = _rule(path_pattern(f"**/{images}"), path_pattern(f"**/{masks}"))
    named = {pattern.with_suffix and pattern.text.lower().endswith(".dcm") for pattern in (rule.images, rule.masks)}
    return _match(scan(folder, divided=True in named), rule, [])


def _rule(images: PathPattern, masks: PathPattern) -> _Rule:
    shared = tuple(field for field in images.fields if field in masks.fields)
    return _Rule(images, masks, shared, tuple(field for field in masks.fields if field not in shared))


def _match(
    contents: Scan, rule: _Rule, unused: Sequence[PathPattern], group: str = "", *, in_order: bool = False
) -> Matches:
    found = Matches(ignored=list(contents.ignored), folders=set(contents.folders))
    images, masks = list[tuple[Entry, _Captured]](), list[tuple[Entry, _Captured]]()
    for entry in contents.entries:
        path = (f"{entry.parent}/{entry.path.name}", f"{entry.parent}/{entry.stem}")
        names = tuple(name.removeprefix("/") for name in path)
        if captured := rule.masks.captured(*names):
            masks.append((entry, captured))
        elif any(pattern.captured(*names) for pattern in unused):
            found.unused.append(entry.path)
        elif captured := rule.images.captured(*names):
            images.append((entry, captured))
        else:
            found.unnamed.append(entry.path)
    if in_order:
        images, masks = _numbered_in_order(images, masks, rule.shared)
    _pair_up(found, images, masks, rule, group)
    found.pairs = _without_common_folder(found.pairs)
    return found


def _numbered_in_order(images: _Found, masks: _Found, shared: Sequence[str]) -> tuple[_Found, _Found]:
    """Add the position in the order of names as a field, for files with as many images as masks in their group.

    Files in other groups get their name instead, so that they are not paired.
    """

    def counted(entries: _Found) -> dict[tuple[str, ...], _Found]:
        together = defaultdict[tuple[str, ...], _Found](list)
        for entry, captured in sorted(entries, key=lambda one: plain_order(one[0].path.name)):
            together[tuple(composed(captured[field]) for field in shared)].append((entry, captured))
        return together

    of_images, of_masks = counted(images), counted(masks)
    kept = {key for key in of_images if len(of_images[key]) == len(of_masks.get(key, []))}

    def numbered(together: Mapping[tuple[str, ...], _Found]) -> _Found:
        return [
            (entry, {**captured, "": str(number) if key in kept else entry.path.name})
            for key, entries in together.items()
            for number, (entry, captured) in enumerate(entries)
        ]

    return numbered(of_images), numbered(of_masks)


def plain_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which ``2.png`` comes before ``10.png``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _runs(name)]


def _runs(name: str) -> list[str]:
    runs = [""]
    for character in name:
        if runs[-1] and runs[-1][-1].isdecimal() != character.isdecimal():
            runs.append("")
        runs[-1] += character
    return runs


def _pair_up(found: Matches, images: _Found, masks: _Found, rule: _Rule, group: str) -> None:
    in_order = bool(images and "" in images[0][1])
    shared = (*rule.shared, "") if in_order else rule.shared
    apart = () if in_order else rule.apart

    def key_of(captured: _Captured, names: _Names) -> tuple[str, ...]:
        return tuple(names(captured[field]) for field in shared)

    exact = [key_of(captured, composed) for _, captured in images]
    loose = [key_of(captured, _loosely) for _, captured in images]
    names: _Names = _loosely if len(set(loose)) == len(set(exact)) else composed
    by_key = defaultdict[tuple[str, ...], _Found](list)
    for entry, captured in masks:
        by_key[key_of(captured, names)].append((entry, captured))
    of_images = defaultdict[tuple[str, ...], _Found](list)
    for entry, captured in images:
        of_images[key_of(captured, names)].append((entry, captured))
    for key, candidates in of_images.items():
        own = by_key.pop(key, [])
        if not own:
            found.images_alone += [entry.path for entry, _ in candidates]
        elif len(candidates) > 1:
            found.clashes.append(f"{_listed(own)} could belong to {_listed(candidates)}")
        else:
            _add_pair(found, candidates[0], own, apart, group)
    found.masks_alone += [entry.path for own in by_key.values() for entry, _ in own]


def _loosely(name: str) -> str:
    return plain_numbers(composed(name))


def _listed(entries: _Found) -> str:
    return ", ".join(entry.path.name for entry, _ in entries)


def _add_pair(found: Matches, image: tuple[Entry, _Captured], own: _Found, apart: Sequence[str], group: str) -> None:
    entry, captured = image
    parts = ["-".join(filter(None, (mask[field].strip("_-. ") for field in apart))) for _, mask in own]
    if len(set(parts)) < len(own):
        found.clashes.append(f"{entry.path}: has several masks: {_listed(own)}")
        return
    several = len(own) > 1 or any(part and not part.isdecimal() for part in parts)
    first = own[0][0].path
    found.pairs.append(
        ImagePair(
            entry.path, first.parent if several else only_file(first), entry.stem,
            SPLIT_FOLDERS.get(captured.get("split", "").lower()), "",
            captured.get("1", "") + captured[group] if group else "",
            tuple(mask.path for mask, _ in own) if several else (), tuple(parts) if several else (),
        )
    )  # fmt: skip


def _without_common_folder(pairs: Sequence[ImagePair]) -> list[ImagePair]:
    """Shorten groups to the last part of their path, unless two groups in different folders would become equal."""
    short = {pair.group: pair.group.rpartition("/")[2] for pair in pairs}
    return (
        [replace(pair, group=short[pair.group]) for pair in pairs]
        if len(set(short.values())) == len(short)
        else list(pairs)
    )
