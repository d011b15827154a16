"""``sources.json`` beside a fetched set: what came from where, and the trust on first use that rests on it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from promise_seg.errors import PromiseError
from promise_seg.files import write_json

FILE_NAME = "sources.json"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One archive or folder that was used. ``checked_against`` says what its SHA-256 was compared with."""

    url: str
    bytes: int | None
    sha256: str | None
    checked_against: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything known of the data in a folder. ``archives`` by file name; ``arranged`` describes the manifest."""

    name: str
    licence: str
    licence_url: str
    archives: dict[str, Source] = field(default_factory=dict)
    arranged: dict[str, Any] = field(default_factory=dict)


def read_sources(folder: Path) -> Sources | None:
    """What an earlier fetch noted in this folder, if there was one.

    Raises:
        PromiseError: if the file is there but cannot be read.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PromiseError(f"{path}: cannot be read: {error}. Remove it to fetch without it") from error
    try:
        found = json.loads(text)
        archives = {name: Source(**source) for name, source in found.pop("archives").items()}
        return Sources(archives=archives, **found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PromiseError(
            f"{path}: not as this program writes it: {error}. Remove it to fetch without what it notes"
        ) from error


def write_sources(folder: Path, sources: Sources) -> None:
    """Note them, whole or not at all."""
    write_json(folder / FILE_NAME, asdict(sources))
