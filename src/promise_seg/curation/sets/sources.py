"""``sources.json`` of a fetched data set: where each file came from. Trust on first use relies on it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from promise_seg.errors import PromiseError, first_line
from promise_seg.files import write_json

FILE_NAME = "sources.json"


@dataclass(frozen=True, kw_only=True)
class DownloadSource:
    """An archive or folder that was used. ``checked_against`` says what its SHA-256 was compared with."""

    url: str
    bytes: int | None
    sha256: str | None
    checked_against: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything known about the data in a folder: ``archives`` by file name; ``arranged`` describes the manifest."""

    name: str
    licence: str
    licence_url: str
    archives: dict[str, DownloadSource] = field(default_factory=dict)
    arranged: dict[str, Any] = field(default_factory=dict)


def read_sources(folder: Path) -> Sources | None:
    """Return what an earlier fetch recorded in this folder, or ``None``.

    Raises:
        PromiseError: if the file is there but cannot be read.
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
