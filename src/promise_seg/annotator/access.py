"""Access control: one-time addresses, the sessions that they open, and the hosts that requests may name."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from threading import Lock
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

COOKIE = "promise_annotator"
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""The names by which this computer reaches itself."""


@dataclass
class Access:
    """The one-time token, the open sessions, and the hosts that requests may name.

    Args:
        port: the TCP port on which the server listens.
        hosts: the hosts of the printed addresses, as in URLs. Requests may name them, the loopback names, and the
            address of this computer at which they arrived.
        secure: whether the server speaks TLS.
        on_use: called whenever a token was exchanged, in the thread of :meth:`exchange`; the next token is valid then.
    """

    port: int
    hosts: tuple[str, ...] = _LOCAL[:1]
    secure: bool = False
    on_use: Callable[[], object] = lambda: None
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _sessions: set[str] = field(default_factory=set, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def scheme(self) -> str:
        """The scheme of the server's address: ``http`` or ``https``."""
        return "https" if self.secure else "http"

    @property
    def token(self) -> str:
        """The token that is valid now, until it is exchanged."""
        return self._token

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address with the token, under each host. Together they open one session."""
        token = self._token
        return tuple(f"{self.scheme}://{host}:{self.port}/?token={token}" for host in self.hosts)

    @property
    def address(self) -> str:
        """The first of the addresses with the token."""
        return self.addresses[0]

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
        self.on_use()
        return session

    def set_cookie(self, session: str) -> str:
        """Return the value of the ``Set-Cookie`` header that gives a session to the browser."""
        secure = "; Secure" if self.secure else ""
        return f"{self.cookie_name}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def has_session(self, cookies: str) -> bool:
        """Whether a ``Cookie`` header contains the cookie of an open session."""
        value = cookie_parser(cookies).get(self.cookie_name)
        if value is None:
            return False
        given = value.encode("utf-8", "replace")
        with self._lock:
            return any(hmac.compare_digest(given, session.encode()) for session in self._sessions)

    def is_own_host(self, host: str, arrival: str | None = None) -> bool:
        """Whether a ``Host`` header names this server.

        A page whose name was made to resolve to this computer (DNS rebinding) sends its name, never an IP address.
        Therefore the address at which the connection arrived is as safe as the names that are known in advance.

        Args:
            host: the value of the header.
            arrival: the address of this computer at which the connection arrived, as in a URL.
        """
        names = (*_LOCAL, *self.hosts) if arrival is None else (*_LOCAL, *self.hosts, arrival)
        known = {f"{name}:{self.port}".lower() for name in names}
        if self.port == (443 if self.secure else 80):
            known |= {name.lower() for name in names}
        return host.lower() in known

    def is_own_origin(self, origin: str, arrival: str | None = None) -> bool:
        """Whether an ``Origin`` header is that of a page of this server; ``arrival`` as in :meth:`is_own_host`."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        rest = parts.path or parts.query or parts.fragment
        return parts.scheme == self.scheme and not rest and self.is_own_host(parts.netloc, arrival)


def url_host(host: str) -> str:
    """Return a host name or an IP address as it is in a URL.

    IPv6 addresses are in brackets. IPv4 addresses that are mapped to IPv6, as a socket for both reports them, are in
    their own form.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or f"[{host}]")
