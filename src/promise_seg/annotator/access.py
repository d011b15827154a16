"""The right to ask: one browser that opened the printed address, at the address where the server listens."""

import hmac
import secrets
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

COOKIE = "promise_annotator"
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""The names of this computer for itself."""


@dataclass
class Access:
    """The one-time token, the sessions that it became, and the names under which the server may be addressed.

    Args:
        port: where the server listens.
        hosts: names other than those of this computer.
        secure: whether the server speaks TLS.
        shown: the host of the printed address.
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
        """The scheme of its address."""
        return "https" if self.secure else "http"

    @property
    def token(self) -> str:
        """The token that is valid now."""
        return self._token

    @property
    def address(self) -> str:
        """The address that opens a session, once."""
        return f"{self.scheme}://{self.shown}:{self.port}/?token={self._token}"

    @property
    def cookie_name(self) -> str:
        """The name of the cookie: one for each port, as browsers keep cookies by host alone."""
        return f"{COOKIE}_{self.port}"

    def exchange(self, token: str) -> str | None:
        """Turn the token into a session, once; ``None`` if it is another, or was used."""
        with self._lock:
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token = secrets.token_urlsafe(32)
            session = secrets.token_urlsafe(32)
            self._sessions.add(session)
            return session

    def set_cookie(self, session: str) -> str:
        """Return the header that hands a session to the browser."""
        secure = "; Secure" if self.secure else ""
        return f"{self.cookie_name}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def has_session(self, cookies: str) -> bool:
        """Whether the header of cookies holds a session, whatever cookies of others are beside it."""
        found = cookie_parser(cookies).get(self.cookie_name)
        if found is None:
            return False
        given = found.encode("utf-8", "replace")
        with self._lock:
            return any(hmac.compare_digest(given, known.encode()) for known in self._sessions)

    def is_own_host(self, host: str) -> bool:
        """Whether a ``Host`` header names this server and nothing else."""
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
