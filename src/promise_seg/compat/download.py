"""Download one large file with a resumable part, checked against its size and SHA-256.

The libraries at hand either do not resume (pooch, torch.hub) or know one site only (huggingface_hub).
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from promise_seg.data.checks import file_sha256
from promise_seg.errors import PromiseError

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30


def download(
    url: str, path: Path, *, size: int, sha256: str, progress: Callable[[int], object] = lambda done: None
) -> Path:
    """Fetch ``url`` to ``path``, going on with what an earlier call left in ``<path>.part``.

    Args:
        url: http or https.
        path: the file; it appears only when it is whole and right.
        size: expected, in bytes.
        sha256: expected, of the whole file.
        progress: told how many bytes are there.

    Raises:
        PromiseError: if the connection or the disk fails (what has come is kept), or the bytes are not those expected
            (nothing is kept).
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if part.exists() and part.stat().st_size > size:
            part.unlink()
        if not part.exists() or part.stat().st_size < size:
            _append(url, part, size, progress)
        found_size, found = part.stat().st_size, file_sha256(part)
        if (found_size, found) == (size, sha256):
            part.replace(path)
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
            f"{url}: stopped after {there:,} of {size:,} bytes: {getattr(error, 'reason', None) or error}. "
            "Give the same command to go on from there."
        ) from error
    if found_size < size:
        raise PromiseError(
            f"{url}: the connection ended after {found_size:,} of {size:,} bytes. "
            "Give the same command to go on from there."
        )
    part.unlink()
    raise PromiseError(
        f"{url}: not the file expected: {found_size:,} bytes with SHA-256 {found}, expected {size:,} bytes with "
        f"{sha256}. Nothing was kept; try again, and do not use a file from elsewhere with another hash."
    )


def _append(url: str, part: Path, size: int, progress: Callable[[int], object]) -> None:
    """Fetch what ``part`` lacks; from the beginning if the server does not resume."""
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "promise-seg"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        resumed = answer.status == 206
        done = there if resumed else 0
        announced = answer.headers.get("Content-Length")
        if announced is not None and done + int(announced) != size:
            raise PromiseError(
                f"{url}: not the file expected: it has {done + int(announced):,} bytes, expected {size:,}. "
                "Nothing was taken from there."
            )
        with part.open("ab" if resumed else "wb") as file:
            while (chunk := answer.read(_CHUNK)) and done <= size:
                file.write(chunk)
                done += len(chunk)
                progress(done)
