"""``sources.json`` of a fetched data set: the origin and checksum of each file, which trust on first use relies on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from promise_seg.errors import PromiseError, first_line
from promise_seg.storage.files import write_json

FILE_NAME = "sources.json"


@dataclass(frozen=True, kw_only=True)
class DownloadSource:
    """The origin of an archive or folder; ``checked_against`` is the source of the SHA-256 that it had to match."""

    url: str
    bytes: int | None
    sha256: str | None
    checked_against: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The records on a fetched data set: ``archives`` by file name; ``arranged`` describes the manifest."""

    name: str
    licence: str
    licence_url: str
    archives: dict[str, DownloadSource] = field(default_factory=dict)
    arranged: dict[str, Any] = field(default_factory=dict)


def read_sources(folder: Path) -> Sources | None:
    """Return the records of an earlier fetch into this folder, or ``None`` if there are none.

    Raises:
        PromiseError: if the file exists but cannot be read, or ``folder`` is a file.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise PromiseError(f"-o {folder}: is a file; expected a folder to fetch into") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PromiseError(
            f"{path}: cannot be read: {first_line(error)}. Remove it to fetch without its records"
        ) from error
    try:
        content = json.loads(text)
        archives = {name: DownloadSource(**source) for name, source in content.pop("archives").items()}
        return Sources(archives=archives, **content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PromiseError(
            f"{path}: not a file of promise data fetch: {error}. Remove it to fetch without its records"
        ) from error


def write_sources(folder: Path, sources: Sources) -> None:
    """Write ``sources.json``, completely or not at all."""
    write_json(folder / FILE_NAME, asdict(sources))
