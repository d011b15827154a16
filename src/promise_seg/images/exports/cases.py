"""Join the files of one case to one input, where a model reads several of them as channels."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from promise_seg.images.channel_files import case_and_word, exchanged
from promise_seg.images.channels import Channels
from promise_seg.images.formats.kinds import suffix_of

if TYPE_CHECKING:
    from promise_seg.images.exports.inputs import Input

_SHOWN = 3


def joined_cases(inputs: "Sequence[Input]", channels: Channels | None, note: Callable[[str], object]) -> "list[Input]":
    """Return one input for each case whose files are called after the channels, and all other inputs as they are.

    It is called after its case. Files of the case that are no channel of the model are left out.

    Args:
        inputs: what was found.
        channels: those of the model.
        note: called with a line for what is left out.
    """
    if channels is None or not channels.names:
        return list(inputs)
    names = channels.names
    wanted = [name.lower() for name in names]
    cases = defaultdict[tuple[Path, str, str], list["Input"]](list)
    for one in inputs:
        case, _ = case_and_word(one.path, names)
        cases[one.path.parent, case, suffix_of(one.path)].append(one)
    found, left_out = list["Input"](), list[Path]()
    for (_, case, _), members in cases.items():
        own = [one for one in members if case_and_word(one.path, names)[1].lower() in wanted and not one.files]
        if not own:
            found += members
            continue
        first = min(own, key=lambda one: wanted.index(case_and_word(one.path, names)[1].lower()))
        found.append(replace(first, stem=_stem_of(first, case), beside=_others(first.path, names)))
        left_out += [one.path for one in members if one not in own]
    if left_out:
        note(
            f"left out {len(left_out)} file(s) beside those of the channels that the model reads ({channels}): "
            f"{_examples(left_out)}"
        )
    return found


def _stem_of(first: "Input", case: str) -> str:
    """Return the stem of a case: its name in the folder of its files, or that of this folder if it has no name."""
    above, name = PurePosixPath(first.stem).parent, case.rstrip("_-. ")
    if name:
        return (above / name).as_posix()
    return above.as_posix() if above.name else first.path.parent.name or first.stem


def _others(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    others = (exchanged(path, name, names) for name in names)
    return tuple(other for other in others if other != path and other.is_file())


def _examples(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
