"""Groups (patients, videos) of images: from DICOM identifiers, from folders, or from the names of images."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.curation.pairing.schemes import SPLIT_FOLDERS
from promise_seg.dataset.owners import owners_of
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.folder_names import IMAGE_FOLDERS, MASK_FOLDERS, plain

_PATIENT = re.compile(r"(?:patients?|pat|pt|p|cases?|subjects?|subj|sub|s|id|mrn|volunteer|donor|slide|video|vid|seq)"
                      r"[ _-]?[a-z]{0,2}\d+\w*|tcga[-_]\w+[-_].*", re.IGNORECASE)  # fmt: skip
_SET = re.compile(
    r"(?:data ?sets?|sets?|parts?|batch|sites?|cent(?:er|re)s?|hospitals?|tasks?|folds?|class|grades?|stages?|series|"
    r"slices?|levels?|scanners?|vendors?|domains?|groups?|rounds?|versions?)[ _-]?\w{0,3}",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z]{3,}")
_HEX = re.compile(r"[0-9a-f-]{6,}")
_MANY = 10


def group_pattern(expression: str) -> re.Pattern[str]:
    """Compile a regular expression with exactly one group.

    Raises:
        SettingsError: if it is invalid, or has another number of groups.
    """
    try:
        pattern = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(f"--group {expression}: not a regular expression: {error}") from error
    if pattern.groups != 1:
        raise SettingsError(
            f"--group {expression}: has {pattern.groups} groups in parentheses, expected one, as in '^(patient\\d+)_'"
        )
    return pattern


def groups_of(pairs: Sequence[ImagePair], pattern: re.Pattern[str], folder: Path) -> list[str]:
    """Return the group of each image: the text that the pattern's group matches in its stem or its path.

    Either all groups come from stems, or all from paths relative to ``folder``, whichever matches more images.

    Raises:
        ManifestError: if neither the stems nor the paths of all images match.
    """
    stems = [pair.stem for pair in pairs]
    paths = [pair.image.relative_to(folder).as_posix() for pair in pairs]
    candidates = [_first_group(pattern, names) for names in (stems, paths)]
    groups = min(candidates, key=lambda values: values.count(""))
    missing = [path for path, group in zip(paths, groups, strict=True) if not group]
    if missing:
        raise ManifestError(
            f"{folder}: --group {pattern.pattern} does not match the names of {len(missing)} of {len(pairs)} images, "
            f"for example {missing[0]}. Expected a pattern that matches the stem of every image, or else every path"
        )
    return groups


def _first_group(pattern: re.Pattern[str], names: Sequence[str]) -> list[str]:
    matches = (pattern.search(name) for name in names)
    return [(match[1] or "").strip() if match else "" for match in matches]


def are_cases(names: Collection[str]) -> bool:
    """Whether the names of folders look like those of patients, videos or other cases rather than sets or classes.

    Cases are numbered or coded (``p01``, ``TCGA_CS_4941``) and otherwise have the same words, or are many; sets and
    classes have different names (``Kvasir-SEG`` and ``ETIS``, ``benign`` and ``malignant``), and are few. A single
    folder is a case only if its name says so.
    """
    if _are_patients(names):
        return True
    if len(names) < 2 or any(_SET.fullmatch(name) for name in names):
        return False
    words = {() if _HEX.fullmatch(name.lower()) else tuple(_WORD.findall(name.lower())) for name in names}
    return len(words) == 1 or len(names) >= _MANY


def _are_patients(names: Collection[str]) -> bool:
    return bool(names) and all(_PATIENT.fullmatch(name) for name in names)


def folder_groups(pairs: Sequence[ImagePair], folder: Path) -> list[str]:
    """Return the folder of each image as its group, if there are several folders of cases, and fewer than images.

    Folders of splits and of generic names (``images``) are ignored. If there are no such folders, all groups are empty.
    """
    inside = [_telling(pair.image.relative_to(folder).parts[:-1]) for pair in pairs]
    depths = range(min((len(parts) for parts in inside), default=0))
    for looks_right in (_are_patients, are_cases):
        for depth in depths:
            groups = ["/".join(parts[: depth + 1]) for parts in inside]
            if 1 < len(set(groups)) < len(groups) and looks_right({parts[depth] for parts in inside}):
                short = {group: group.rpartition("/")[2] for group in groups}
                return [short[group] for group in groups] if len(set(short.values())) == len(short) else groups
    return [""] * len(pairs)


def _telling(parts: Sequence[str]) -> list[str]:
    silent = IMAGE_FOLDERS | MASK_FOLDERS | set(SPLIT_FOLDERS)
    return [part for part in parts if plain(part) not in silent]


@dataclass(frozen=True)
class Grouping:
    """Pairs with their groups, and ``by``, how they were grouped: empty if there are none, or the layout names them."""

    pairs: list[ImagePair]
    by: str = ""


def with_groups(pairs: Sequence[ImagePair], folder: Path) -> Grouping:
    """Set the groups of pairs: from DICOM identifiers, otherwise from the layout, otherwise from their folders."""
    owners = owners_of([pair.image for pair in pairs])
    if any(owners):
        kinds = sorted({owner.kind for owner in owners if owner})
        groups = [owner.name if owner else pair.group for owner, pair in zip(owners, pairs, strict=True)]
        by = f"by {' or '.join(kinds)}, as the DICOM files say"
    elif any(pair.group for pair in pairs):
        return Grouping(list(pairs))
    else:
        groups, by = folder_groups(pairs, folder), "by folder"
    grouped = [replace(pair, group=group) for pair, group in zip(pairs, groups, strict=True)]
    return Grouping(grouped, by if any(groups) else "")


def single_group_warning(pairs: Sequence[ImagePair]) -> str | None:
    """Return a warning if several images all have the same group, so that they cannot be divided."""
    groups = {pair.group for pair in pairs}
    if len(pairs) < 2 or len(groups) > 1 or "" in groups:
        return None
    return (
        f"all {len(pairs)} images are in one group, {groups.pop()!r}, so they cannot be divided into splits. If they "
        "are not of one patient or video, pass --group with a pattern that finds the patient in their names"
    )


def no_groups_note(pairs: Sequence[ImagePair]) -> str:
    """Return a note that there are no groups and how to set them, with a pattern that suits the names if possible."""
    example = "'^(patient\\d+)_'"
    for expression in (r"^(.+)[_-]\d+$", r"^([^_]+)_", r"^([^-]+)-"):
        matches = [re.search(expression, pair.stem) for pair in pairs]
        groups = {match[1] for match in matches if match}
        if all(matches) and 1 < len(groups) <= len(pairs) / 2:
            example = f"'{expression}', which would make {len(groups)} groups, such as {min(groups)}"
            break
    return (
        "no groups: neither the files nor their folders say which images belong to one patient or video, so each is a "
        "group of its own, and images of one patient may end up in different splits. If several images are of one "
        f"patient, pass --group with a pattern that finds the patient in their names, such as {example}"
    )
