import json

import pytest

from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError
from promise_seg.archives.multipart import Parts, boundary_of
from promise_seg.archives.storing import store
from tests.archives.images import dicom_bytes
from tests.archives.serving import Said, json_answer

FOUND = '[{"00080018": {"vr": "UI", "Value": ["1.2.1"]}}]'


class Archive:
    """A rule that keeps what is sent, and says and does otherwise as it is told."""

    def __init__(self, *, keeps=True, listed_after=0, only_metadata=False, said=None):
        self.keeps, self.listed_after, self.only_metadata, self.said = keeps, listed_after, only_metadata, said
        self.files = []
        self.looks = 0

    def __call__(self, asked):
        if asked.method == "POST":
            if self.keeps:
                self.files += [b"".join(one) for one in Parts([asked.body], boundary_of(asked.headers["Content-Type"]))]
            return self.said or json_answer("{}")
        if asked.path.endswith("/metadata"):
            return json_answer(FOUND) if self.files and self.only_metadata else Said(404)
        self.looks += bool(self.files)
        return json_answer(FOUND if self.looks > self.listed_after and not self.only_metadata else "[]")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mask.dcm"
    path.write_bytes(dicom_bytes("1.2.1", StudyInstanceUID="1", SeriesInstanceUID="2"))
    return path


@pytest.fixture
def send(serve, connect, file):
    def run(archive):
        found = []
        server = serve(archive)
        return store(connect(server.address()), file, found.append), found, server

    return run


def test_what_is_sent_is_there_afterwards_and_is_sent_once(send, file):
    archive = Archive()
    assert send(archive)[:2] == (True, [])
    assert archive.files == [file.read_bytes()]
    is_new, _, server = send(archive)
    assert not is_new
    assert server.of_kind("POST", "") == []


def test_archives_that_list_late_are_looked_at_again(send):
    assert send(Archive(listed_after=3))[:2] == (True, [1, 2, 3])
    assert send(Archive(only_metadata=True))[:2] == (True, [])


def test_an_archive_that_answers_200_and_stores_nothing(send):
    with pytest.raises(ArchiveError, match=r"mask.dcm: http://.* confirmed .*, but does not list it"):
        send(Archive(keeps=False))


def failed(code, uid="1.2.1"):
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [code]}}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}})


@pytest.mark.parametrize("status", [200, 202, 409])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x0122, r"it does not store objects of this class \(failure reason 0x0122\)"),
        (0xA702, r"it is out of space \(failure reason 0xa702\)"),
        (0xC122, r"it cannot interpret the object \(failure reason 0xc122\)"),
        (0x1234, r"it gives a reason that promise-seg does not know \(failure reason 0x1234\)"),
    ],
)
def test_the_reasons_of_an_archive_are_said(send, status, code, words):
    with pytest.raises(ArchiveError, match=f"mask.dcm: was not stored by http://.*: {words}"):
        send(Archive(keeps=False, said=json_answer(failed(code), status)))


def test_a_refusal_without_a_reason(send):
    with pytest.raises(ArchiveError, match=r"was not stored by .*: it answers 415"):
        send(Archive(keeps=False, said=Said(415, b"<error/>", {"Content-Type": "application/xml"})))
    for code in ("x", "²", "1" * 5000):
        with pytest.raises(ArchiveError, match=r"was not stored by .*: it gives no reason"):
            send(Archive(keeps=False, said=json_answer(failed(code))))


def test_a_failure_of_what_is_there_already_is_none(send):
    assert send(Archive(said=json_answer(failed(0x0111), 409)))[0]


@pytest.mark.parametrize("answers", [
    [Said(504), json_answer(failed(0x0110), 409)], [json_answer(failed(0x0111), 409)], [Said(504), Said(409)],
])  # fmt: skip
def test_what_may_be_there_all_the_same_is_looked_for_as_long(send, waits, answers):
    """An archive stores it but answers too late, refuses the second one, and lists the first after a while."""
    archive = Archive(listed_after=3)
    left = list(answers)

    def rule(asked):
        kept = archive(asked)
        return left.pop(0) if asked.method == "POST" else kept

    assert send(rule)[:2] == (True, [1, 2, 3])
    assert left == []


def test_what_was_refused_at_once_is_not_waited_for(serve, connect, file):
    waited = []
    server = serve(Archive(keeps=False, said=json_answer(failed(0xA702), 409)))
    with pytest.raises(ArchiveError, match="it is out of space"):
        store(connect(server.address()), file, waited.append)
    assert waited == []


def test_no_answer_at_all(send, waits):
    with pytest.raises(ArchiveStoppedError, match="answered 503"):
        send(Archive(keeps=False, said=Said(503)))


def test_a_file_that_is_no_dicom_file(serve, connect, tmp_path):
    (tmp_path / "mask.dcm").write_text("text")
    with pytest.raises(ArchiveError, match=r"mask.dcm: is not a complete DICOM file"):
        store(connect(serve().address()), tmp_path / "mask.dcm", int)
