import pytest

from promise_seg.archives.address import Address
from promise_seg.archives.connection import Connection
from promise_seg.archives.credentials import Credentials
from tests.archives.serving import Server


@pytest.fixture(autouse=True)
def _nothing_of_the_user(monkeypatch):
    """No test sees the credentials and the proxies of who runs it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for of_target in (False, True):
        for name in Credentials(of_target=of_target).names:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for an archive, which pass at once."""
    found = []
    monkeypatch.setattr(Connection, "_rest", lambda _, seconds: found.append(seconds))
    return found


@pytest.fixture
def serve():
    """Start servers that end with the test."""
    servers = []

    def start(*arguments, **more):
        servers.append(Server(*arguments, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect():
    """Return the connection to the address that users give."""
    return lambda address, **more: Connection(Address.parse(address), Credentials(), **more)
