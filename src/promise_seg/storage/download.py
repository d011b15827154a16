"""Download one large file with a resumable part, checked against its size and SHA-256 as far as these are known.

The libraries at hand either do not resume (pooch, torch.hub) or know one site only (huggingface_hub).
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http.client import HTTPException, HTTPMessage
from pathlib import Path

from promise_seg.errors import PromiseError, first_line
from promise_seg.storage.files import check_writable
from promise_seg.storage.hashing import file_sha256

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30

Advance = Callable[[int], object]
"""A function that is told how many bytes or images are done; their total may be unknown."""
Bar = Callable[[str, int | None, str], AbstractContextManager[Advance]]
"""A function that opens a progress bar: what is done, the total if known, and the unit, ``bytes`` or ``images``."""


def no_bar(_what: str, _total: int | None, _unit: str) -> AbstractContextManager[Advance]:
    """Show nothing."""
    return nullcontext(lambda done: None)


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Advance = lambda done: None,
) -> Path:
    """Fetch ``url`` to ``path``, going on with what an earlier call left in ``<path>.part``.

    Without a SHA-256 the file is accepted by its size: the one given, or else the one that the server announces. Then a
    leftover is only continued if the server says that its file has not changed since, and web pages are refused.

    Args:
        url: http or https.
        path: the file; it appears only when it is whole and right.
        size: expected, in bytes; None if unknown.
        sha256: expected, of the whole file; None if unknown.
        progress: told how many bytes are there.

    Raises:
        PromiseError: if the connection or the disk fails (what has come is kept), or the bytes are not those expected
            (nothing is kept).
    """
    part = path.with_name(path.name + ".part")
    version = None if sha256 else path.with_name(path.name + ".part-version")
    expected = size
    check_writable(path.parent)
    try:
        if size is not None and part.exists() and part.stat().st_size > size:
            part.unlink()
        if size is None or not part.exists() or part.stat().st_size < size:
            expected = _append(url, part, version, size, progress)
        found_size, found = part.stat().st_size, file_sha256(part)
        if found_size == (found_size if expected is None else expected) and found == (sha256 or found):
            part.replace(path)
            if version:
                version.unlink(missing_ok=True)
            return path
    except ValueError as error:
        raise PromiseError(
            f"{url}: not an address: {error}. Expected one that begins with https:// or http://"
        ) from error
    except (urllib.error.URLError, HTTPException, OSError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code == 416:  # the leftover is of another file
            part.unlink(missing_ok=True)
        there = part.stat().st_size if part.exists() else 0
        raise PromiseError(
            f"{url}: stopped after {there:,}{_of(expected)} bytes: {_reason(error)}. "
            "Run the same command again to resume"
        ) from error
    if expected is not None and found_size < expected:
        raise PromiseError(
            f"{url}: the connection ended after {found_size:,}{_of(expected)} bytes. "
            "Run the same command again to resume"
        )
    part.unlink()
    wanted = [f"{expected:,} bytes"] * (expected is not None) + [sha256 or ""] * (sha256 is not None)
    raise PromiseError(
        f"{url}: not the file expected: {found_size:,} bytes with SHA-256 {found}, expected {' with '.join(wanted)}. "
        "Nothing was kept; try again, and do not use a file from elsewhere with another hash."
    )


def _reason(error: Exception) -> str:
    """Return why a download stopped, in words."""
    reason = getattr(error, "reason", None) or error
    return first_line(reason) if isinstance(reason, Exception) else str(reason)


def _of(size: int | None) -> str:
    return "" if size is None else f" of {size:,}"


def _append(
    url: str, part: Path, version: Path | None, size: int | None, progress: Callable[[int], object]
) -> int | None:
    """Fetch what ``part`` lacks; from the beginning if the server does not resume.

    ``version`` is a file that says of which state of the server's file ``part`` is. Returns the size of the whole file
    if it is known.
    """
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "promise-seg"})
    if there and version is not None:
        if version.exists():
            request.add_header("If-Range", version.read_text(encoding="utf-8"))
        else:
            there = 0
    if there:
        request.add_header("Range", f"bytes={there}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        resumed = answer.status == 206
        done = there if resumed else 0
        announced = answer.headers.get("Content-Length")
        total = size if announced is None else done + int(announced)
        if size is not None and total != size:
            raise PromiseError(
                f"{url}: not the file expected: it has {total:,} bytes, expected {size:,}. "
                "Nothing was taken from there."
            )
        if version is not None and answer.headers.get_content_type() == "text/html":
            raise PromiseError(
                f"{url}: not the file expected: it is a web page, perhaps one to log in or to agree to something. "
                "Nothing was taken from there; open it in a browser."
            )
        if version is not None and not resumed:
            part.unlink(missing_ok=True)
            _note_version(version, answer.headers)
        with part.open("ab" if resumed else "wb") as file:
            while (chunk := answer.read(_CHUNK)) and (total is None or done <= total):
                file.write(chunk)
                done += len(chunk)
                progress(done)
    return total


def _note_version(version: Path, headers: HTTPMessage) -> None:
    """Keep what the server calls the present state of its file, if it has an exact word for it."""
    tag = headers.get("ETag", "")
    name = tag if tag.startswith('"') else headers.get("Last-Modified")
    if name:
        version.write_text(name, encoding="utf-8")
    else:
        version.unlink(missing_ok=True)
