"""The real server: where it listens, and what it prints."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from queue import Queue

import httpx2 as httpx
import pytest
import torch
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_socket

from promise_seg.annotator import running as running_module
from promise_seg.annotator.access import Access
from promise_seg.annotator.client import RemoteError
from promise_seg.annotator.client import connect as connect_client
from promise_seg.annotator.encode_ahead import EncodeAhead
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.running import Place, _server, listening_socket, running, serve
from promise_seg.errors import SettingsError
from tests.annotator.helpers import API, Tab, model_around, points
from tests.helpers import make_tiny_sam


@pytest.fixture
def place():
    """A port that is in use."""
    with socket.socket() as taken:
        for port in range(20_000, 65_000):
            with suppress(OSError):
                taken.bind(("127.0.0.1", port))
                break
        taken.listen()
        yield Place(port=port)


def test_the_next_port_is_taken_and_said_if_one_is_in_use(place):
    said = []
    with listening_socket(place, said.append) as found:
        port = found.getsockname()[1]
    assert port > place.port
    assert said == [f"port {place.port} is in use; listening on {port}"]


def test_only_this_computer_reaches_it():
    with listening_socket(Place(port=0), print) as found:
        assert found.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "box.example", "::"])
def test_others_reach_it_only_if_that_is_said(host):
    with pytest.raises(SettingsError, match="others could read what you annotate"):
        Place(host)
    assert Place(host, insecure=True).is_local is False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_addresses_of_this_computer_need_nothing(host):
    access = Place(host).access(8765)
    assert Place(host).is_local
    shown = f"[{host}]" if ":" in host else host
    assert access.address.startswith(f"http://{shown}:8765/?token=")
    assert access.is_own_host(f"{shown}:8765")
    assert access.is_own_host("localhost:8765")


def test_a_certificate_needs_its_key(tmp_path):
    with pytest.raises(SettingsError, match="give both, or neither"):
        Place("0.0.0.0", certificate=tmp_path / "a.pem")
    with pytest.raises(SettingsError, match="cannot be used with --tls-key"):
        Place("0.0.0.0", certificate=tmp_path / "a.pem", key=tmp_path / "b.pem")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on this machine")
def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-passout",
         "pass:x123", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    program = (
        "import sys; from promise_seg.annotator.running import Place; Place(certificate=sys.argv[1], key=sys.argv[2])"
    )
    command = [sys.executable, "-c", program, certificate, key]
    ended = subprocess.run(command, input="x123\n", capture_output=True, text=True, start_new_session=True, check=False)
    assert "cannot be used with --tls-key" in ended.stderr
    assert "without a password" in ended.stderr


def test_an_address_that_is_not_here_is_refused():
    with pytest.raises(SettingsError, match=r"--host 192\.0\.2\.1: is not an address of this computer"):
        listening_socket(Place("192.0.2.1", insecure=True), print)


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_name_that_no_computer_can_have_is_refused(host):
    with pytest.raises(SettingsError, match=rf"--host {host}: is not an address of this computer: "):
        listening_socket(Place(host, insecure=True), print)


def test_a_name_of_another_host_is_known_where_it_was_given():
    access = Place("box.example", insecure=True).access(8765)
    assert access.is_own_host("box.example:8765")
    assert not access.is_own_host("other.example:8765")
    assert access.address.startswith("http://box.example:8765/?token=")


@pytest.mark.parametrize(
    ("host", "families"), [("0.0.0.0", [socket.AF_INET]), ("::", [socket.AF_INET, socket.AF_INET6])]
)
def test_for_all_addresses_the_name_and_those_of_the_network_are_printed(host, families, monkeypatch):
    """Even where the computer's name resolves to a loopback address, as on Debian."""
    asked = []

    class Probe:
        def __init__(self, family, kind):
            asked.append(family)
            self.family = family

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def connect(self, remote):
            if self.family == socket.AF_INET6:
                raise OSError("Network is unreachable")

        def getsockname(self):
            return ("192.168.1.5", 40_000)

    monkeypatch.setattr(running_module.socket, "socket", Probe)
    monkeypatch.setattr(running_module.socket, "gethostname", lambda: "box")
    access = Place(host, insecure=True).access(8765)
    token = access.token
    assert access.addresses == (f"http://box:8765/?token={token}", f"http://192.168.1.5:8765/?token={token}")
    assert asked == families
    assert access.is_own_host("box:8765")


def test_after_each_use_a_fresh_address_is_said(project, monkeypatch):
    """For another browser, person or program; a terminal that is gone ends nothing."""
    said, servers, addresses = Queue(), [], []

    def keeping(*given):
        servers.append(_server(*given))
        return servers[0]

    def say(given, is_used):
        said.put((given, is_used))
        if is_used:
            raise BrokenPipeError

    monkeypatch.setattr(running_module, "_server", keeping)
    thread = threading.Thread(target=serve, args=(project, Place(port=0), say, print), daemon=True)
    thread.start()
    try:
        for use in range(3):
            (address,), is_used = said.get(timeout=600)
            assert is_used == (use > 0)
            assert httpx.get(address, timeout=60).status_code == 200
            assert httpx.get(address, timeout=60).status_code == 401
            addresses.append(address)
    finally:
        servers[0].should_exit = True
        thread.join(600)
    assert len(set(addresses)) == 3


def connect_to(place, origin, cookie):
    """A WebSocket; a busy computer may take long to open it."""
    return connect_socket(place, origin=origin, additional_headers={"cookie": cookie}, proxy=None, open_timeout=60)


def test_a_session_over_a_real_connection(project):
    with running(project) as access:
        address = f"http://127.0.0.1:{access.port}"
        with httpx.Client(base_url=address, headers={"origin": address}, timeout=60) as client:
            entered = client.get(access.address)
            assert entered.status_code == 200
            assert client.get("/").headers["content-type"].startswith("text/html")
            tab = Tab(client, 1)
            tab.open()
            tab.act("propose", slice=0)
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            preview = f"ws://127.0.0.1:{access.port}{API}/images/1/preview"
            with connect_to(preview, address, cookie) as socket:
                socket.send('{"n": 1, "slice": 0, "object": 1, "points": [{"x": 3, "y": 3, "label": 1}]}')
                answered = socket.recv(timeout=60)
            assert '"n":1' in answered.replace(" ", "")
            for origin, sent in (("http://evil.com", cookie), (address, "")):
                with pytest.raises(InvalidStatus, match="403"):
                    connect_to(preview, origin, sent).__enter__()
            tab.act("prompts", object=1, points=points((3, 3, 1)), box=None)
            assert "server" not in client.get("/").headers
            assert client.head("/").content == b""


def test_the_token_is_in_no_log(project, caplog, capfd):
    assert _server(project, Place(), Access(8765)).config.access_log is False
    caplog.set_level("DEBUG")
    with running(project) as access:
        token, address = access.token, access.address
        httpx.get(address, timeout=60)
        httpx.get(address, timeout=60)
    own = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [line for line in own if token in line]
    assert token not in "".join(capfd.readouterr())


def test_a_file_of_the_page_is_not_run_by_what_is_in_a_name(project):
    """Names and reasons come as JSON text, never as markup."""
    with running(project) as access, httpx.Client(base_url=f"http://127.0.0.1:{access.port}", timeout=60) as client:
        client.get(access.address)
        for path in ("/project", "/images"):
            assert client.get(API + path).headers["content-type"] == "application/json"
            assert client.get(API + path).headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
def test_fifty_tabs_are_answered(project):
    with running(project) as access:
        address = f"http://127.0.0.1:{access.port}"
        with httpx.Client(base_url=address, headers={"origin": address}, timeout=60) as client, ExitStack() as tabs:
            client.get(access.address)
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            place = f"ws://127.0.0.1:{access.port}{API}/images/1/preview"
            sockets = [tabs.enter_context(connect_to(place, address, cookie)) for _ in range(50)]
            for number, socket in enumerate(sockets):
                socket.send(f'{{"n": {number}, "slice": 0, "points": [{{"x": 3, "y": 3, "label": 1}}]}}')
            assert [json.loads(socket.recv(timeout=60))["n"] for socket in sockets] == list(range(50))
            opened = [Tab(client, 1, seed=number).open().status_code for number in range(50)]
            assert opened == [200] + [409] * 49


def test_encoding_ahead_ends_whenever_it_is_told_to(monkeypatch):
    """As when it is told so in the moment before it waits for news."""
    ahead = EncodeAhead(None, lambda: None, None)

    class News(threading.Event):
        def clear(self):
            ahead._stopping.set()
            self.set()
            super().clear()

    ahead._news = News()
    ahead.start()
    ahead._thread.join(600)
    assert not ahead._thread.is_alive()


def serve_until_it_is_told_to_end(images, folder, said):
    """Serve as the command does, in a process of its own, and say what became of the signal."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    torch.set_num_threads(1)
    with Project(model_around(make_tiny_sam()), [images], folder, Options(store=folder / "store")) as project:
        try:
            serve(project, Place(port=0), lambda *addresses: said.send(addresses), said.send)
        except KeyboardInterrupt:
            workers = [one for one in threading.enumerate() if one.name.startswith("AnyIO")]
            for one in workers:
                one.join(60)
            said.send([one.name for one in workers if one.is_alive()])


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_signal_ends_it_whatever_is_being_asked(images, folder):
    context = multiprocessing.get_context("spawn")  # a copy could inherit locks that threads of this process hold
    hears, says = context.Pipe()
    process = context.Process(target=serve_until_it_is_told_to_end, args=(images, folder, says), daemon=True)
    process.start()
    try:
        assert hears.poll(600)
        (address,), _ = hears.recv()
        client = connect_client(address)
        assert hears.poll(600)
        assert hears.recv()[1]  # a fresh address
        answered = threading.Event()

        def ask():
            with suppress(RemoteError):
                while True:
                    client.images()
                    answered.set()

        for _ in range(8):
            threading.Thread(target=ask, daemon=True).start()
        assert answered.wait(60)
        os.kill(process.pid, signal.SIGTERM)
        assert hears.poll(600)
        assert hears.recv() == []
        process.join(600)
        assert process.exitcode == 0
    finally:
        process.kill()
