"""Resumable download of a large file, which is checked against its size and SHA-256 as far as these are known.

Existing libraries either do not resume (pooch, torch.hub) or support only one site (huggingface_hub).
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
"""A function that is called with the number of bytes or images done so far; the total may be unknown."""
Bar = Callable[[str, int | None, str], AbstractContextManager[Advance]]
"""A function that opens a progress bar, given the name of the task, the total if known, and the unit, ``bytes`` or
``images``."""


def no_bar(_what: str, _total: int | None, _unit: str) -> AbstractContextManager[Advance]:
    """Return a progress bar that shows nothing."""
    return nullcontext(lambda done: None)


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Advance = lambda done: None,
) -> Path:
    """Download ``url`` to ``path``, and resume a download that an earlier call left in ``<path>.part``.

    Without a SHA-256, only the size of the file is checked: the given size or that announced by the server. A download
    is then only resumed if the server confirms that the file has not changed since, and web pages are rejected.

    Args:
        url: http or https address of the file.
        path: path of the file, which appears only when it is complete and correct.
        size: expected size in bytes; ``None`` if unknown.
        sha256: expected hash of the complete file; ``None`` if unknown.
        progress: called with the number of bytes received so far.

    Raises:
        PromiseError: if the connection or the disk fails (received bytes are kept), or the file is not that expected
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
        if isinstance(error, urllib.error.HTTPError) and error.code == 416:  # the partial file is of another file
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
    """Return a description of why a download stopped."""
    reason = getattr(error, "reason", None) or error
    return first_line(reason) if isinstance(reason, Exception) else str(reason)


def _of(size: int | None) -> str:
    return "" if size is None else f" of {size:,}"


def _append(
    url: str, part: Path, version: Path | None, size: int | None, progress: Callable[[int], object]
) -> int | None:
    """Download the rest of the file to ``part``, or all of it if the server does not resume.

    ``version`` is a file with the version of the server's file that ``part`` belongs to; ``None`` if a hash is known.
    Return the size of the complete file if it is known, otherwise ``None``.
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
    """Write down the version of the server's file: a strong ETag or the date of its last change, if there is any."""
    tag = headers.get("ETag", "")
    name = tag if tag.startswith('"') else headers.get("Last-Modified")
    if name:
        version.write_text(name, encoding="utf-8")
    else:
        version.unlink(missing_ok=True)
