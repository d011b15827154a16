"""The client in Python, against the real server."""

import socket
import ssl
import threading

import numpy as np
import pytest

from promise_seg.annotator import results
from promise_seg.annotator.client import Client, RemoteError, connect
from promise_seg.annotator.running import Place, running
from promise_seg.errors import PromiseError, SettingsError
from tests.annotator.helpers import HEIGHT, WIDTH
from tests.files import write_certificate


@pytest.fixture
def link(project):
    with running(project) as access:
        yield access.address


@pytest.fixture
def remote(link):
    return connect(link, user="grace")


def square():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:12, 8:20] = True
    return mask


def test_an_image_from_its_proposal_to_its_export(remote, project, folder):
    first = remote.images("name")[0]
    assert (first.state, first.width, first.height, first.slices) == ("open", WIDTH, HEIGHT, 1)
    with remote.open(first.id) as image:
        assert remote.images("name")[0].objects == 0
        (found,) = image.propose()
        assert (found.automatic, found.mask.shape, found.label) == (True, (HEIGHT, WIDTH), 1)
        assert len(found.points_xy) == len(found.point_labels) > 0
        before = image.revision
        seen = image.predict([(20, 12), (3, 3)], [1, 0], number=found.id)
        assert image.revision == before
        assert len(seen.candidates) == 3
        prompted = image.set_prompts(found.id, [(20, 12), (3, 3)], [1, 0])
        assert np.array_equal(prompted.mask, seen.mask)
        assert prompted.predicted_iou == pytest.approx(seen.predicted_iou)
        image.undo()
        assert np.array_equal(image.objects[found.id].mask, found.mask)
        image.redo()
        assert image.objects[found.id].points_xy == ((20.0, 12.0), (3.0, 3.0))
        image.remove(found.id)
        made = image.add(mask=square())
        assert np.array_equal(made.mask, square())
        assert not image.paint(made.id, square(), erase=True).mask.any()
        image.undo()
        image.accept()
    assert remote.export() == {"file": "exports/coco.json", "images": 1, "slices": 1, "objects": 1}
    assert (folder / "exports/coco.json").exists()
    assert remote.images("name")[0].state == "done"
    assert project.catalogue.row(first.id)["user"] == "grace"
    assert project.leases.holder(first.id) is None


def test_states_of_an_image(remote):
    image = remote.open(1)
    image.skip()
    assert remote.project()["counts"]["skipped"] == 1
    image.reopen()
    assert image.state == "open"


def test_what_is_refused_is_an_error_with_its_code(remote, link, project):
    with pytest.raises(RemoteError, match="used already") as used:
        connect(link)
    assert used.value.code == "no-session"
    project.leases.take(2, "somebody", "ada")
    with pytest.raises(RemoteError, match="ada has had this image open") as held:
        remote.open(2)
    assert held.value.code == "held"
    assert remote.open(2, take=True).id == 2
    with pytest.raises(RemoteError, match="too few accepted images"):
        remote.train()
    assert remote.training()["state"] == remote.stop_training()["state"] == "idle"
    image = remote.open(1)
    with pytest.raises(SettingsError, match="expected one for each"):
        image.predict([(1, 1)], [1, 0])
    with pytest.raises(SettingsError, match="as the image"):
        image.add(mask=np.ones((3, 3), bool))


def test_an_address_without_a_server_is_said(free_port):
    with pytest.raises(RemoteError, match="is not an address of an annotator"):
        connect("http://127.0.0.1:8765/")
    with pytest.raises(RemoteError, match="does not answer") as error:
        connect(f"http://127.0.0.1:{free_port}/?token=x")
    assert error.value.code == "unreachable"


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this computer that nobody signed, and its key."""
    return write_certificate(tmp_path, "DNS:localhost,IP:127.0.0.1")


def test_a_certificate_that_is_not_trusted_is_named_with_the_way_out(project, certificate):
    with running(project, Place(port=0, certificate=certificate[0], key=certificate[1])) as access:
        with pytest.raises(RemoteError, match=r"certificate is not trusted: self.signed.* tls=ssl") as error:
            connect(access.address)
        assert error.value.code == "unreachable"
        trusting = ssl.create_default_context(cafile=certificate[0])
        assert connect(access.address, tls=trusting).project()["api"] == 1


def test_another_person_is_let_in_by_the_next_address(project):
    with running(project) as access:
        clients = [connect(access.address, user=name) for name in ("ada", "grace")]
        clients[0].open(1)
        with pytest.raises(RemoteError, match="ada has had this image open"):
            clients[1].open(1)


def test_a_server_that_is_no_annotator_is_not_entered(remote, monkeypatch):
    monkeypatch.setattr(Client, "_send", lambda self, *request: (200, {}, b"<h1>It works!</h1>"))
    with pytest.raises(RemoteError, match="answered with status 200: <h1>It works!") as error:
        connect("http://127.0.0.1:8765/?token=x")
    assert error.value.code == "failed"


def test_an_answer_that_was_lost_is_asked_for_again(remote, monkeypatch):
    """The action is done once: the second time it is answered as it was."""
    image, send, lost = remote.open(1), remote._send, [True]

    def losing(method, path, body):
        answer = send(method, path, body)
        if path.endswith("/actions") and lost:
            lost.pop()
            raise ConnectionResetError
        return answer

    monkeypatch.setattr(remote, "_send", losing)
    image.add(mask=square())
    assert (len(image.objects), image.revision, lost) == (1, 1, [])


def test_what_is_neither_read_nor_an_action_is_sent_once(remote, monkeypatch):
    """Training that began although its answer was lost is not begun twice; nor does patience begin anew."""
    sent = []

    for error, times in ((ConnectionResetError(), 3), (TimeoutError(), 1)):

        def losing(method, path, body, error=error):
            sent.append((method, path.rpartition("/")[2]))
            raise error

        monkeypatch.setattr(remote, "_send", losing)
        sent.clear()
        with pytest.raises(RemoteError) as said:
            remote.training()
        assert (said.value.code, sent) == ("unreachable", [("GET", "training")] * times)
        with pytest.raises(RemoteError):
            remote.train()
        assert sent[times:] == [("POST", "training")]


def test_what_was_stored_in_part_is_accepted_by_doing_it_again(remote, monkeypatch, folder):
    image = remote.open(1)
    image.add(mask=square())

    def full(path, text):
        raise PromiseError(f"{path}: cannot write: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_text", full)
        with pytest.raises(RemoteError, match="the manifest is not up to date") as error:
            image.accept()
        assert error.value.code == "not-stored"
    image.accept()
    assert (image.state, image.revision) == ("done", 2)
    assert (folder / "manifest.csv").exists()


def test_several_threads_work_at_their_images(remote):
    made = {}

    def work(number):
        with remote.open(number) as image:
            made[number] = image.add([(20, 12)]).id

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {1: 1, 2: 1, 3: 1}


@pytest.fixture
def free_port():
    """A port at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        yield found.getsockname()[1]
