"""Join the files of one case into one input, for models that read several files as channels."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from promise_seg.errors import ImageError
from promise_seg.images.channel_files import case_and_word, exchanged
from promise_seg.images.channels import Channels
from promise_seg.images.formats.kinds import suffix_of

if TYPE_CHECKING:
    from promise_seg.images.exports.inputs import Input

_SHOWN = 3
_SEPARATORS = "_-. "


def joined_cases(inputs: "Sequence[Input]", channels: Channels | None, note: Callable[[str], object]) -> "list[Input]":
    """Return one input for each case whose files are named after the channels, and all other inputs unchanged.

    The input is named after its case. Other files of the case are left out, of whatever format they are. A DICOM
    series is a channel if it has a folder to itself.

    Args:
        inputs: inputs to join.
        channels: channels of the model.
        note: called with a line about the files that are left out.
    """
    if channels is None or not channels.names:
        return list(inputs)
    names = channels.names
    wanted = [name.lower() for name in names]
    volumes = Counter(one.path for one in inputs if one.files)
    cases = defaultdict[tuple[Path, str], list["Input"]](list)
    for one in inputs:
        cases[one.path.parent, case_and_word(one.path, names)[0]].append(one)
    found, left_out = list["Input"](), list[Path]()
    for (_, case), members in cases.items():
        own = defaultdict[str, list["Input"]](list)
        for one in members:
            if case_and_word(one.path, names)[1].lower() in wanted and volumes[one.path] < 2:
                own[suffix_of(one.path)].append(one)
        for channel_files in own.values():
            first = min(channel_files, key=lambda one: wanted.index(case_and_word(one.path, names)[1].lower()))
            found.append(_called_after(first, case, names))
        others = [one for one in members if one not in own[suffix_of(one.path)]]
        if any(own.values()):
            left_out += [one.path for one in others]
        else:
            found += others
    if left_out:
        note(
            f"left out {len(left_out)} file(s) beside those of the channels that the model reads ({channels}): "
            f"{_examples(left_out)}"
        )
    return found


def _called_after(first: "Input", case: str, names: Sequence[str]) -> "Input":
    """Return the input of a case; a series in a folder named after its channel is named after the folder above."""
    below = first.below
    if first.files and not case.rstrip(_SEPARATORS) and first.path.parent != first.root:
        above = first.path.parent.parent
        below = "_".join(above.relative_to(first.root).parts) if above.is_relative_to(first.root) else ""
    return replace(first, stem=_stem_of(first, case), below=below, beside=_others(first.path, names))


def _stem_of(first: "Input", case: str) -> str:
    """Return the stem of a case: its name below the folder of its files, or the folder's name if it has none."""
    above, name = PurePosixPath(first.stem).parent, case.rstrip(_SEPARATORS)
    if name:
        return (above / name).as_posix()
    return above.as_posix() if above.name else first.path.parent.name or first.stem


def _others(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    others = (exchanged(path, name, names) for name in names)
    try:
        return tuple(other for other in others if other != path and other.exists())
    except OSError as error:
        raise ImageError(f"{path}: its further channels cannot be looked for: {error.strerror or error}") from error


def _examples(paths: Sequence[Path]) -> str:
    """Return the first few names, or paths if names occur twice."""
    names = [path.name for path in paths]
    shown = names if len(set(names)) == len(names) else list(map(str, paths))
    return ", ".join(shown[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
