"""Channels of one case in separate files: they are in the same folder, and their names differ in the last word.

Examples are ``p1_t1.nii.gz`` and ``p1_flair.nii.gz``, or ``t1.nii.gz`` and ``flair.nii.gz`` in a folder of the case.
Channel names may also be names of folders: ``t1/p1.nii.gz``.
"""

import re
from collections.abc import Collection
from itertools import count, takewhile
from pathlib import Path

from promise_seg.images.formats.kinds import stem_of

_SEPARATORS = "_-. "
_LAST_WORD = re.compile(r"(.*[_\-. ])([^_\-. ]+)")
_FIRST = "0000"
_KNOWN = (("flair", "t1", "t1ce", "t1gd", "t2"), ("t2f", "t1n", "t1c", "t2w"))
"""The channel names of BraTS; the first of each row is the one that ``promise data make`` writes into a manifest."""
_OME = ".ome"
_EXAMPLE = 3


def case_and_word(path: Path, names: Collection[str] = ()) -> tuple[str, str]:
    """Split the name of a file, without its suffix, into case and channel: ``p1_`` and ``t1`` for ``p1_t1.nii.gz``.

    Args:
        path: the file.
        names: names of channels; each counts as one word, whatever characters it contains.
    """
    stem = _stem(path)
    for name in sorted(names, key=len, reverse=True):
        case, own = stem[: -len(name)], stem[-len(name) :]
        if own.lower() == name.lower() and case[-1:] in (*_SEPARATORS, ""):
            return case, own
    match = _LAST_WORD.fullmatch(stem)
    return (match[1], match[2]) if match else ("", stem)


def exchanged(path: Path, word: str, names: Collection[str] = ()) -> Path:
    """Return the path that another channel of the same case would have."""
    return path.with_name(case_and_word(path, names)[0] + word + path.name[len(_stem(path)) :])


def file_of(path: Path, word: str, names: Collection[str]) -> Path | None:
    """Return the file of a channel of the same case, which may be ``path`` itself; ``None`` if there is none.

    Args:
        path: one file of the case.
        word: the name of the channel.
        names: names of all chosen channels.
    """
    known = {name.lower() for name in names}.union(*_KNOWN)
    case, own = case_and_word(path, names)
    candidates = list[Path]()
    for written in dict.fromkeys((word, word.lower())):
        if case or own.lower() in known:
            candidates.append(exchanged(path, written, names))
        if path.parent.name.lower() in known:
            candidates.append(path.parent.with_name(written) / path.name)
    return next((candidate for candidate in candidates if _exists(candidate)), None)


def channels_beside(path: Path, images: Collection[Path] = ()) -> tuple[str, ...]:
    """Return the channels next to a file that is named as in nnU-Net or BraTS, with its own; empty if it is alone.

    Args:
        path: a file of a case; for nnU-Net, the first one (``_0000``).
        images: files that are separate images, such as the frames of a video, and so are not channels.
    """
    case, word = case_and_word(path)
    if not case:
        return ()
    if word == _FIRST:
        numbers = (f"{number:04}" for number in count())
        found = tuple(takewhile(lambda number: _exists(exchanged(path, number)), numbers))
    else:
        known = next((words for words in _KNOWN if word.lower() in words), ())
        written = str.upper if word.isupper() else str.lower
        found = tuple(written(one) for one in known if one == word.lower() or _exists(exchanged(path, written(one))))
    are_channels = len(found) > 1 and not any(exchanged(path, one) in images for one in found if one != word)
    return found if are_channels else ()


def note_of(path: Path, images: Collection[Path]) -> str | None:
    """Return a note, which follows the path, that an image has channels next to it; ``None`` if it has none.

    Args:
        path: file of an image whose channels were not chosen.
        images: files that are separate images.
    """
    names = channels_beside(path, images)
    if not names:
        return None
    return (
        f"is one of {len(names)} channels in files beside each other ({', '.join(names)}), and is read alone. For "
        f"several of them, pass --channels, such as --channels {','.join(names[:_EXAMPLE])}; for this one alone, "
        f"--channels {case_and_word(path)[1]}"
    )


def _stem(path: Path) -> str:
    stem = stem_of(path)
    return stem[: -len(_OME)] if stem.lower().endswith(_OME) else stem


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, or a missing permission
        return False
