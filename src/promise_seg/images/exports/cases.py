"""Join the files of one case to one input, where a model reads several of them as channels."""

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
    """Return one input for each case whose files are called after the channels, and all other inputs as they are.

    It is called after its case. Files of the case that are no channel of the model are left out, of whatever kind they
    are. A DICOM series is a channel if it has a folder to itself.

    Args:
        inputs: what was found.
        channels: those of the model.
        note: called with a line for what is left out.
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
    """Return a case by its first file: a series in a folder called after its channel has the name of the one above."""
    below = first.below
    if first.files and not case.rstrip(_SEPARATORS) and first.path.parent != first.root:
        above = first.path.parent.parent
        below = "_".join(above.relative_to(first.root).parts) if above.is_relative_to(first.root) else ""
    return replace(first, stem=_stem_of(first, case), below=below, beside=_others(first.path, names))


def _stem_of(first: "Input", case: str) -> str:
    """Return the stem of a case: its name in the folder of its files, or that of this folder if it has no name."""
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
    """Return the first names, or paths where names occur twice."""
    names = [path.name for path in paths]
    shown = names if len(set(names)) == len(names) else list(map(str, paths))
    return ", ".join(shown[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
