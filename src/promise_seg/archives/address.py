"""The address of an archive with its filters: ``dicomweb://pacs.example/dicom-web?StudyDate=20260101-20260131``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NoReturn
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from promise_seg.archives.filters import checked_filters
from promise_seg.errors import SettingsError

_SCHEMES = {"dicomweb": None, "dicomweb+https": "https", "dicomweb+http": "http"}
_IS_ADDRESS = re.compile(r"dicomweb(\+[a-z]+)?:/", re.IGNORECASE)
_THIS_COMPUTER = frozenset({"localhost", "127.0.0.1", "::1"})
_EXAMPLE = "dicomweb://pacs.example/dicom-web?StudyDate=20260101-20260131&Modality=CT"
_PARTS_OF_PAGES = frozenset({"limit", "offset", "includefield", "fuzzymatching"})


@dataclass(frozen=True)
class Address:
    """The address of an archive.

    Args:
        root: URL of its DICOMweb services, such as ``https://pacs.example/dicom-web``.
        filters: DICOM keywords that select studies and series, with the values to look for.
    """

    root: str
    filters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse the address of an archive.

        ``dicomweb+https://`` and ``dicomweb+http://`` set the protocol. ``dicomweb://`` means ``https``, except for
        this computer (``localhost``, ``127.0.0.1``, ``[::1]``), where it means ``http``.

        Raises:
            SettingsError: if the text is not a valid address, or contains credentials, which no message repeats.
        """
        if "@" in text or "%40" in re.split(r"[/?#]", text.partition(":/")[2].lstrip("/"))[0]:
            # Not even the host is shown: if a password contains # or ?, a part of it is parsed as the host.
            raise SettingsError(
                "the address of the archive: contains an @, as after a user name or password, which other users of "
                "this computer can see in command lines. Leave them out, and set PROMISE_SEG_ARCHIVE_USER and "
                "PROMISE_SEG_ARCHIVE_PASSWORD, or PROMISE_SEG_ARCHIVE_TOKEN. In the value of a filter, write %40 for @"
            )
        try:
            parts = urlsplit(re.sub(r":/(?=[^/])", "://", text, count=1))  # a Path has one slash
            host, port = parts.hostname or "", parts.port
        except ValueError:
            _refuse("the address of the archive", "its host or port cannot be read")
        shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
        if parts.scheme not in _SCHEMES:
            _refuse(shown, f"begins with {parts.scheme}://; expected {', '.join(f'{one}://' for one in _SCHEMES)}")
        if not host or any(character.isspace() for character in parts.netloc):
            _refuse(shown, "has no host")
        if parts.fragment:
            _refuse(shown, "has a fragment (#)")
        scheme = _SCHEMES[parts.scheme] or ("http" if host in _THIS_COMPUTER else "https")
        netloc = f"[{host}]" if ":" in host else host
        netloc += "" if port is None else f":{port}"
        root = f"{scheme}://{netloc}{quote(parts.path.rstrip('/'), safe='/%:@!$&()*+,;=~')}"
        return cls(root, checked_filters(shown, _pairs(shown, parts)))

    @property
    def host(self) -> str:
        """The host and port, such as ``pacs.example:8042``."""
        return urlsplit(self.root).netloc

    @property
    def is_this_computer(self) -> bool:
        """Whether the archive is on this computer."""
        return urlsplit(self.root).hostname in _THIS_COMPUTER

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is encrypted (``https``), or stays on this computer, where nobody can listen in."""
        return urlsplit(self.root).scheme == "https" or self.is_this_computer


def _pairs(shown: str, parts: SplitResult) -> dict[str, str]:
    """Return the filters as they are written in the address.

    Raises:
        SettingsError: if they cannot be parsed, a filter is given twice, or a parameter for paging is given.
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        _refuse(shown, "its filters cannot be read; expected KEYWORD=VALUE, joined by &")
    for name, value in pairs:
        if name in _PARTS_OF_PAGES:
            _refuse(shown, f"{name} is not a filter; all pages of an answer are read. Leave it out")
        if name in found:
            _refuse(shown, f"{name} is given twice")
        found[name] = value
    return found


def _refuse(shown: str, why: str) -> NoReturn:
    raise SettingsError(f"{shown}: {why}. Write an address as {_EXAMPLE}")


def is_address(place: object) -> bool:
    """Whether a place is the address of an archive rather than the path of a file."""
    text = place if isinstance(place, str) else place.as_posix() if isinstance(place, PurePath) else ""
    return _IS_ADDRESS.match(text) is not None


def address_among(places: Iterable[object]) -> Address | None:
    """Return the address of the archive to read; None if all places are files and folders.

    Raises:
        SettingsError: if an address is given together with other places, or is invalid.
    """
    named = list(places)
    if not any(map(is_address, named)):
        return None
    if len(named) > 1:
        raise SettingsError(
            f"{len(named)} places with the address of an archive among them; expected files and folders, or one "
            "address. Predict archives by commands of their own"
        )
    return Address.parse(named[0].as_posix() if isinstance(named[0], PurePath) else str(named[0]))
