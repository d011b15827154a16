"""Groups (patients, videos) extracted from the names of images."""

import re
from collections.abc import Sequence
from pathlib import Path

from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.errors import ManifestError, SettingsError


def group_pattern(expression: str) -> re.Pattern[str]:
    """Compile a regular expression with exactly one group.

    Raises:
        SettingsError: if it is invalid, or has another number of groups.
    """
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise SettingsError(f"--group {expression}: not a regular expression: {error}") from error
    if pattern.groups != 1:
        raise SettingsError(
            f"--group {expression}: has {pattern.groups} groups in parentheses, expected one, as in '^(patient\\d+)_'"
        )
    return pattern


def groups_of(pairs: Sequence[ImagePair], pattern: re.Pattern[str], folder: Path) -> list[str]:
    """Return what the pattern's group matches for each image: in the stems, or else in the paths below ``folder``.

    Either all groups come from stems, or all from paths.

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
