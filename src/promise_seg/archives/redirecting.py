"""Follow redirections of an archive within its own host: no other host may see the credentials."""

from urllib.parse import SplitResult, urljoin, urlsplit

from promise_seg.archives.errors import ArchiveStoppedError

_PORTS = {"http": 80, "https": 443}


def is_redirection(status: int) -> bool:
    """Whether an answer of this status names another address."""
    return status in (301, 302, 303, 307, 308)


def answers_to_post(status: int) -> bool:
    """Whether the other address has the answer to what was sent, which must not be sent again."""
    return status == 303


def redirected(root: str, url: str, location: str) -> str:
    """Return where a redirection leads.

    Args:
        root: the address of the archive.
        url: what was asked for.
        location: where the answer leads, from there.

    Raises:
        ArchiveStoppedError: if it leads to another host, which must not see the credentials, or nowhere.
    """
    try:
        there = urlsplit(urljoin(url, location))
        is_same = _place_of(there) == _place_of(urlsplit(root))
        there.geturl().encode("ascii")  # other characters have no place in a request
    except ValueError:
        raise ArchiveStoppedError(
            f"{root}: leads to an address that cannot be read. Ask who runs the archive, or give its own address"
        ) from None
    if not is_same:
        raise ArchiveStoppedError(
            f"{root}: leads to {_named(there)}, which is another place; no credentials are sent there. If that is the "
            "archive, give its own address"
        )
    return there.geturl()


def _place_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return what makes two addresses those of one server; hosts have no capitals, and schemes have ports."""
    if parts.username is not None:
        raise ValueError("credentials in an address")
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _named(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "no host"
    return f"{parts.scheme}://{host}{'' if parts.port is None else f':{parts.port}'}"
