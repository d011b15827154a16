"""Follow redirections of an archive within its own host, so that no other host receives the credentials."""

from urllib.parse import SplitResult, urljoin, urlsplit

from promise_seg.archives.errors import ArchiveStoppedError

_PORTS = {"http": 80, "https": 443}


def is_redirection(status: int) -> bool:
    """Whether an HTTP status is a redirection to another address."""
    return status in (301, 302, 303, 307, 308)


def answers_to_post(status: int) -> bool:
    """Whether a redirection leads to the answer to a ``POST``, so that its body must not be sent again."""
    return status == 303


def redirected(root: str, url: str, location: str) -> str:
    """Return the URL that a redirection leads to.

    Args:
        root: root URL of the archive.
        url: the requested URL.
        location: the target of the redirection, absolute or relative to ``url``.

    Raises:
        ArchiveStoppedError: if the target is on another server, which must not receive the credentials, or is invalid.
    """
    try:
        there = urlsplit(urljoin(url, location))
        is_same = _place_of(there) == _place_of(urlsplit(root))
        there.geturl().encode("ascii")  # other characters are not allowed in a request
    except ValueError:
        raise ArchiveStoppedError(
            f"{root}: redirects to an invalid address. Ask the administrator of the archive, or give the address that "
            "it redirects to"
        ) from None
    if not is_same:
        raise ArchiveStoppedError(
            f"{root}: redirects to a different server, {_named(there)}; no credentials are sent there. If that is the "
            "archive, give its address"
        )
    return there.geturl()


def _place_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return the scheme, host (in lower case) and port, with default ports filled in; equal for the same server."""
    if parts.username is not None:
        raise ValueError("credentials in an address")
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _named(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "no host"
    return f"{parts.scheme}://{host}{'' if parts.port is None else f':{parts.port}'}"
