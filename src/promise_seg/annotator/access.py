"""Access control: one-time addresses, the sessions that they open, and the hosts under which the server answers."""

import hmac
import secrets
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

COOKIE = "promise_annotator"
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""The names by which this computer reaches itself."""


@dataclass
class Access:
    """The one-time token, the open sessions, and the host names that requests may use.

    Args:
        port: the TCP port on which the server listens.
        hosts: host names that requests may use in addition to the loopback names.
        secure: whether the server speaks TLS.
        shown: the host in the printed address.
    """

    port: int
    hosts: tuple[str, ...] = ()
    secure: bool = False
    shown: str = _LOCAL[0]
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _sessions: set[str] = field(default_factory=set, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def scheme(self) -> str:
        """The scheme of the server's address: ``http`` or ``https``."""
        return "https" if self.secure else "http"

    @property
    def token(self) -> str:
        """The one-time token that is valid now."""
        return self._token

    @property
    def address(self) -> str:
        """The address with the token, which opens one session."""
        return f"{self.scheme}://{self.shown}:{self.port}/?token={self._token}"

    @property
    def cookie_name(self) -> str:
        """The name of the cookie. It contains the port, because browsers share cookies between the ports of a host."""
        return f"{COOKIE}_{self.port}"

    def exchange(self, token: str) -> str | None:
        """Return a new session for a token, and replace the token; ``None`` if the token is wrong or already used."""
        with self._lock:
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token = secrets.token_urlsafe(32)
            session = secrets.token_urlsafe(32)
            self._sessions.add(session)
            return session

    def set_cookie(self, session: str) -> str:
        """Return the value of the ``Set-Cookie`` header that gives a session to the browser."""
        secure = "; Secure" if self.secure else ""
        return f"{self.cookie_name}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def has_session(self, cookies: str) -> bool:
        """Whether a ``Cookie`` header contains the cookie of an open session."""
        found = cookie_parser(cookies).get(self.cookie_name)
        if found is None:
            return False
        given = found.encode("utf-8", "replace")
        with self._lock:
            return any(hmac.compare_digest(given, known.encode()) for known in self._sessions)

    def is_own_host(self, host: str) -> bool:
        """Whether a ``Host`` header names this server."""
        names = (*_LOCAL, *self.hosts)
        known = {f"{name}:{self.port}".lower() for name in names}
        if self.port == (443 if self.secure else 80):
            known |= {name.lower() for name in names}
        return host.lower() in known

    def is_own_origin(self, origin: str) -> bool:
        """Whether an ``Origin`` header is that of a page of this server."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        rest = parts.path or parts.query or parts.fragment
        return parts.scheme == self.scheme and not rest and self.is_own_host(parts.netloc)
