import ssl
from threading import Event, Thread

import pytest

from promise_seg.archives.connection import ArchiveRequest
from promise_seg.archives.dicom_json import DICOM_JSON, items_of
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError
from promise_seg.archives.retrying import RetryPolicy
from tests.archives.serving import Said, held_port, in_turn, json_answer, port_of
from tests.files import write_certificate

STUDIES = ArchiveRequest("/studies", DICOM_JSON, {"limit": 5})


def ask(connection):
    return connection.exchange(STUDIES, items_of)


def test_an_answer_is_read(serve, connect):
    server = serve(in_turn(json_answer('[{"00080060": {"vr": "CS", "Value": ["CT"]}}]')))
    assert len(ask(connect(server.address()))) == 1
    assert server.asked[0].path == "/dicom-web/studies?limit=5"
    assert server.asked[0].headers["Accept"] == DICOM_JSON
    assert "Authorization" not in server.asked[0].headers


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_after_pauses_that_double(serve, connect, waits, status):
    server = serve(in_turn(Said(status), Said(status), Said(status), json_answer()))
    told = []
    assert ask(connect(server.address(), told=told.append)) == []
    assert waits == [pytest.approx(1, rel=0.11), pytest.approx(2, rel=0.11), pytest.approx(4, rel=0.11)]
    assert len(told) == 3
    assert f"127.0.0.1:{server.port}: the archive answered {status}" in told[0]


def test_the_pause_that_the_archive_asks_for_is_kept(serve, connect, waits):
    server = serve(
        in_turn(Said(503, headers={"Retry-After": "7"}), Said(429, headers={"Retry-After": "0"}), json_answer())
    )
    ask(connect(server.address()))
    assert waits == [7, 0]


def test_an_archive_that_asks_for_hours_is_not_waited_for(serve, connect, waits):
    server = serve(in_turn(Said(503, headers={"Retry-After": "7200"})))
    with pytest.raises(ArchiveStoppedError, match=r"asks to wait for 7200 seconds; expected at most"):
        ask(connect(server.address()))
    assert waits == []


@pytest.mark.parametrize(("status", "kind"), [(503, ArchiveStoppedError), (500, ArchiveError)])
def test_tries_are_bounded(serve, connect, waits, status, kind):
    server = serve(in_turn(Said(status)))
    with pytest.raises(kind, match=f"/studies: the archive answered {status} .*, 4 times in a row") as caught:
        ask(connect(server.address(), retry_policy=RetryPolicy(tries=4)))
    assert type(caught.value) is kind
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [400, 403, 404, 406, 501])
def test_what_will_not_pass_is_not_tried_again(serve, connect, waits, status):
    server = serve(in_turn(Said(status)))
    with pytest.raises(ArchiveError, match=f"http://127.0.0.1:{server.port}/dicom-web/studies: .*{status}"):
        ask(connect(server.address()))
    assert len(server.asked) == 1


def test_an_answer_that_breaks_off_is_asked_for_again(serve, connect, waits):
    whole = json_answer('[{"00080060": {"vr": "CS", "Value": ["CT"]}}]')
    server = serve(in_turn(Said(200, whole.body, whole.headers, cut=10), whole))
    assert len(ask(connect(server.address()))) == 1
    assert len(waits) == 1


@pytest.mark.parametrize(
    "said",
    [Said(200, b"<html>Log in</html>", {"Content-Type": "text/html"}), json_answer("7"), json_answer("[7]"),
     json_answer("[" * 100_000), Said(200, b"\xff\xfe", {"Content-Type": "application/dicom+json"})],
)  # fmt: skip
def test_an_answer_that_is_not_dicom_json(serve, connect, said):
    server = serve(in_turn(said))
    with pytest.raises(ArchiveError, match=r"/studies: the answer is .* and not DICOM JSON. Check the path"):
        ask(connect(server.address()))


def test_raised_digits_are_no_length(serve, connect):
    assert ask(connect(serve(in_turn(Said(200, b"[]", {"Content-Length": "²"}))).address())) == []


@pytest.mark.parametrize(
    "said",
    [Said(503, reason="\x1b[2Jred"), Said(200, b"<", {"Content-Type": "text/\x1b[2Jhtml"}),
     Said(302, headers={"Location": "http://\x1bred/x"})],
)  # fmt: skip
def test_nothing_of_an_archive_controls_the_terminal(serve, connect, waits, said):
    told = []
    with pytest.raises(ArchiveError) as caught:
        ask(connect(serve(in_turn(said)).address(), told=told.append))
    assert all(line.isprintable() for line in (*told, str(caught.value)))


def test_no_login_and_a_wrong_one(serve, connect, monkeypatch):
    server = serve(in_turn(Said(401)))
    with pytest.raises(ArchiveStoppedError, match=r"requires a login \(401\). Set PROMISE_SEG_ARCHIVE_USER and"):
        ask(connect(server.address()))
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "s3cret")
    with pytest.raises(ArchiveStoppedError, match=r"rejects the login \(401\)") as caught:
        ask(connect(server.address()))
    assert "s3cret" not in str(caught.value)
    assert len(server.asked) == 2


def test_a_token_that_expires_in_the_middle(serve, connect, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "s3cret")
    server = serve(in_turn(json_answer(), Said(401)))
    connection = connect(server.address())
    ask(connection)
    with pytest.raises(ArchiveStoppedError, match=r"no longer accepts the login \(401\), probably because"):
        ask(connection)


def test_a_command_gives_fresh_tokens(serve, connect, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("first")
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN_COMMAND", f"cat {tmp_path / 'token'}")
    valid = ["first"]
    server = serve(lambda asked: json_answer() if asked.headers["Authorization"] == f"Bearer {valid[0]}" else Said(401))
    connection = connect(server.address())
    ask(connection)
    valid[0] = "second"
    (tmp_path / "token").write_text("second")
    ask(connection)
    valid[0] = "third"  # which the command does not give
    with pytest.raises(ArchiveStoppedError, match="no longer accepts the login"):
        ask(connection)
    assert [one.headers["Authorization"] for one in server.asked] == [
        "Bearer first", "Bearer first", "Bearer second", "Bearer second", "Bearer second"
    ]  # fmt: skip


def test_a_wrong_host_and_a_wrong_port_are_not_waited_for(connect, waits):
    with pytest.raises(ArchiveStoppedError, match=r"http://no-such-host.invalid/d: the host name cannot be resolved"):
        ask(connect("dicomweb+http://no-such-host.invalid/d"))
    with held_port() as held, pytest.raises(ArchiveStoppedError, match=r"nothing listens at this host and port"):
        ask(connect(f"dicomweb+http://127.0.0.1:{port_of(held)}/d"))
    with pytest.raises(ArchiveStoppedError, match=r"http://a..b/d: the request cannot be sent: .* Check the host"):
        ask(connect("dicomweb+http://a..b/d"))
    assert waits == []


def test_an_archive_that_was_there_is_waited_for(serve, connect, waits):
    with held_port() as held:
        server = serve(in_turn(json_answer()), port=port_of(held))
        connection = connect(server.address())
        ask(connection)
        server.close()
        with pytest.raises(ArchiveStoppedError, match=r"nothing listens at this host and port.*, 6 times in a row"):
            ask(connection)
    assert len(waits) == 5


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this computer that nobody signed, and its key."""
    return write_certificate(tmp_path, "DNS:localhost")


def test_certificates_are_checked(serve, connect, certificate, waits, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = serve(in_turn(json_answer()), wrap=lambda plain: context.wrap_socket(plain, server_side=True))
    address = f"dicomweb+https://localhost:{server.port}/d"
    with pytest.raises(ArchiveStoppedError, match=r"cannot be verified: self.signed.* set SSL_CERT_FILE"):
        ask(connect(address))
    assert server.asked == waits == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert ask(connect(address)) == []
    with pytest.raises(ArchiveStoppedError, match=r"its certificate cannot be verified: IP address mismatch"):
        ask(connect(f"dicomweb+https://127.0.0.1:{server.port}/d"))


def test_an_archive_that_does_not_speak_tls(serve, connect, waits):
    server = serve(in_turn(json_answer()))
    with pytest.raises(ArchiveStoppedError, match=r"the encrypted connection failed: .* write dicomweb\+http://"):
        ask(connect(f"dicomweb+https://127.0.0.1:{server.port}/d"))
    assert waits == []


@pytest.mark.parametrize("is_begun", [False, True])
def test_an_answer_that_does_not_come_ends_when_the_work_does(serve, connect, is_begun):
    """Before its first byte, and in the middle."""
    asked, never = Event(), Event()

    def hang(_):
        asked.set()
        if not is_begun:
            never.wait()
        return Said(200, b"x" * 100, cut=10, hold=never)

    connection = connect(serve(hang).address(), retry_policy=RetryPolicy(answer_seconds=3600))
    raised = []

    def work():
        with pytest.raises(ArchiveStoppedError, match="the work was stopped"):
            ask(connection)
        raised.append(True)

    thread = Thread(target=work, daemon=True)
    thread.start()
    assert asked.wait(60)
    connection.stop()
    thread.join(60)
    never.set()
    assert raised


def test_waiting_ends_when_the_work_does(serve, connect):
    server = serve(in_turn(Said(503, headers={"Retry-After": "200"})))
    connection = connect(server.address())
    connection.stop()
    with pytest.raises(ArchiveStoppedError, match="the work was stopped"):
        ask(connection)
