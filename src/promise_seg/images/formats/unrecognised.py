"""Words on a file whose format is not recognised: what its name promises, and what its content seems to be."""

from pathlib import Path

from promise_seg.images.formats.kinds import SUFFIXES, suffix_of

_HEAD_BYTES = 512
_SIGNATURES = (
    (b"version https://git-lfs", "a pointer of Git LFS. Run git lfs pull"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
)


def unrecognised_words(path: Path) -> str:
    """Return the rest of the message on a file that is not recognised, which begins with its name.

    A file with a known suffix has other content than the suffix promises; for others, the known suffixes are listed.
    """
    suffix = suffix_of(path)
    if not suffix:
        return f"; expected one of {', '.join(sorted(SUFFIXES))}"
    name = suffix[1:].upper()
    told = _content(path)
    seems = f"; it seems to be {told}" if told else ""
    way_out = "" if told and ". " in told else f". Copy it again from its source, or save it as {name}"
    return f": its name ends in {suffix}, but its content is not {name}{seems}{way_out}"


def _content(path: Path) -> str:
    """Return what the first bytes of a file seem to be; empty if they are unknown or cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return ""
    for magic, words in _SIGNATURES:
        if head.startswith(magic):
            return words
    if not head.strip(b"\0"):
        return "empty: it holds only zero bytes" if head else "empty"
    text = _text(head)
    if text.lstrip().lower().startswith(("<!doctype html", "<html")):
        return "a web page, as after a download that failed"
    return "text" if text else ""


def _text(head: bytes) -> str:
    """Return the first bytes as text, of which the last letter may be cut off; empty if they are not text."""
    text = head.decode("utf-8", "ignore")
    is_whole = len(head) - len(text.encode()) < 4  # a letter that was cut off has 3 bytes at most
    return text if is_whole and all(letter.isprintable() or letter in "\r\n\t\ufeff" for letter in text) else ""
