"""Download a SAM that is known by name, and describe it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.sam.known import KNOWN_SAMS, expected_sha256, hash_note, known_sam, sam_path
from promise_seg.storage.download import Bar, download
from promise_seg.storage.files import write_text
from promise_seg.storage.hashing import file_sha256


@dataclass(frozen=True)
class Fetched:
    """A SAM on this machine.

    Args:
        path: the file.
        words: a sentence on how the file was obtained and verified, and how to use it.
    """

    path: Path
    words: str


def table_of_sams() -> list[tuple[str, ...]]:
    """Return a row for each known SAM: name, description, size, licence, and whether or how it can be fetched."""
    rows: list[tuple[str, ...]] = [
        ("nano", "the nano SAM, 128 px, 4.7 million parameters", "9 MB", "Apache-2.0", "part of the package")
    ]
    for name, sam in KNOWN_SAMS.items():
        here = "yes" if sam_path(name).exists() else "promise sam fetch " + name
        size = "not known" if sam.size is None else f"{sam.size / 1e6:,.0f} MB"
        rows.append((name, sam.about, size, sam.licence, here))
    return rows


def facts_of(name: str) -> dict[str, str]:
    """Return the known facts about a SAM, such as its size, licence and SHA-256, by name.

    Raises:
        CheckpointError: if there is no such SAM.
    """
    sam, path = known_sam(name), sam_path(name)
    noted = expected_sha256(sam, path)
    if sam.sha256 is None:
        noted = "not published; noted on the first fetch" if noted is None else f"{noted} (not published; as fetched)"
    return {
        "name": name,
        "what": sam.about,
        "size": "not published" if sam.size is None else f"{sam.size:,} bytes",
        "licence": sam.licence,
        "source": sam.source,
        "url": sam.url,
        "sha256": str(noted),
        "file": f"{path}{'' if path.exists() else ' (not fetched)'}",
    }


def fetch_sam(name: str, output: Path | None, url: str | None, bar: Bar, note: Callable[[str], object]) -> Fetched:
    """Download a SAM and verify its SHA-256; an interrupted download resumes.

    Args:
        name: the name of a known SAM.
        output: a path or folder for the file instead of the default path.
        url: a mirror; the file must be identical.
        bar: function that opens a progress bar, if anything is downloaded.
        note: called before the download with what is downloaded, its licence, and a note if no hash is published.

    Raises:
        CheckpointError: if there is no such SAM.
        PromiseError: if the download fails or does not match the hash, or if ``output`` is already another file.
    """
    sam = known_sam(name)
    path = output or sam_path(name)
    if path.is_dir():
        path = path / sam.file_name
    sha256 = expected_sha256(sam, path)
    if path.exists() and file_sha256(path) == sha256:
        return Fetched(path, f"{path}: already there")
    if output is not None and path.exists():
        what = (
            f"is not {name}, or is a damaged copy of it" if sha256 else f"was not fetched with this command as {name}"
        )
        raise PromiseError(f"{path}: already exists and {what}. Remove it, or choose another -o")
    if sha256 is None:
        note(f"{name}: no SHA-256 of it is published, so that its first download cannot be verified")
    note(f"{name}: {sam.about}. Licence: {sam.licence}. See {sam.source}")
    with bar(name, sam.size, "bytes") as progress:
        download(url or sam.url, path, size=sam.size, sha256=sha256, progress=progress)
    checked = "right size and SHA-256"
    if sha256 is None:
        sha256 = file_sha256(path)
        write_text(hash_note(path), f"{sha256}  {path.name}\n")
        checked = f"SHA-256 {sha256}, which is not published and is now noted in {hash_note(path).name}"
    return Fetched(path, f"{path}: {checked}. Use it with --sam {name if output is None else path}")
