"""Files that are channels of one case: they lie beside each other, and their names differ in the last word.

That is ``p1_t1.nii.gz`` and ``p1_flair.nii.gz``, or ``t1.nii.gz`` and ``flair.nii.gz`` in a folder of the case. Names
of channels may also be those of folders: ``t1/p1.nii.gz``.
"""

import re
from collections.abc import Collection
from pathlib import Path

from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.formats.source import Source

_LAST_WORD = re.compile(r"(.*[_\-. ])([^_\-. ]+)")
_NUMBERED = re.compile(r"\d{4}")
_FIRST, _MOST = "0000", 100
_KNOWN = (("flair", "t1", "t1ce", "t1gd", "t2"), ("t2f", "t1n", "t1c", "t2w"))
"""The words of BraTS, in each row the one first that ``promise data make`` names in a manifest."""
_EXAMPLE = 3


def case_and_word(path: Path) -> tuple[str, str]:
    """Return the name of a file without its last word and suffix, ``p1_`` of ``p1_t1.nii.gz``, and that word."""
    match = _LAST_WORD.fullmatch(stem_of(path))
    return (match[1], match[2]) if match else ("", stem_of(path))


def exchanged(path: Path, word: str) -> Path:
    """Return the path of a file of the same case that another channel would have."""
    return _renamed(path, case_and_word(path)[0] + word)


def file_of(path: Path, word: str, names: Collection[str]) -> Path | None:
    """Return the file of a channel among those of the same case, which may be the given one; ``None`` if there is none.

    Args:
        path: one file of the case.
        word: the name of the channel.
        names: of all channels that are chosen.
    """
    known = {name.lower() for name in names}.union(*_KNOWN)
    case, own = case_and_word(path)
    candidates = list[Path]()
    for written in dict.fromkeys((word, word.lower())):
        if case or own.lower() in known:
            candidates.append(exchanged(path, written))
        if path.parent.name.lower() in known:
            candidates.append(path.parent.with_name(written) / path.name)
    return next((candidate for candidate in candidates if _exists(candidate)), None)


def channels_beside(path: Path) -> tuple[str, ...]:
    """Return the channels whose files lie beside one that is named as by nnU-Net or BraTS; empty if it is alone."""
    case, word = case_and_word(path)
    if not case:
        return ()
    if _NUMBERED.fullmatch(word):
        numbers = (f"{number:04}" for number in range(_MOST))
        found = tuple(number for number in numbers if number == word or _exists(exchanged(path, number)))
        return found if len(found) > 1 and found[0] == _FIRST else ()
    known = next((words for words in _KNOWN if word.lower() in words), ())
    written = str.upper if word.isupper() else str.lower
    found = tuple(written(one) for one in known if one == word.lower() or _exists(exchanged(path, written(one))))
    return found if len(found) > 1 else ()


def note_of(source: Source) -> str | None:
    """Return which channels of an image are read where none are chosen: words that follow its path."""
    if source.channel_note is not None:
        return source.channel_note
    names = channels_beside(source.path)
    if not names:
        return None
    return (
        f"is one of {len(names)} channels in files beside each other ({', '.join(names)}), and is read alone. For "
        f"several of them, pass --channels, such as --channels {','.join(names[:_EXAMPLE])}; for this one alone, "
        f"--channels {case_and_word(source.path)[1]}"
    )


def _renamed(path: Path, stem: str) -> Path:
    return path.with_name(stem + path.name[len(stem_of(path)) :])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, or no right to look
        return False
