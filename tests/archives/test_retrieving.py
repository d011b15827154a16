import pytest

from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError
from promise_seg.archives.retrieving import retrieve
from promise_seg.archives.searching import Series
from promise_seg.errors import PromiseError
from tests.archives.images import dicom_bytes, parts_answer
from tests.archives.serving import Said

SERIES = Series("1", "2")
UIDS = ["1.2.1", "1.2.2", "1.2.3"]
FILES = {uid: dicom_bytes(uid) for uid in UIDS}


def one_by_one(asked):
    """Give the instance that is asked for."""
    return parts_answer([FILES[asked.path.rpartition("/")[2]]])


def kept(folder):
    return {path.stem: path.read_bytes() for path in folder.iterdir()}


def test_a_series_comes_in_one_answer_as_it_is_stored(serve, connect, tmp_path):
    server = serve(lambda asked: parts_answer(list(FILES.values())))
    done = []
    retrieve(connect(server.address()), SERIES, UIDS, tmp_path / "a", done.append)
    assert kept(tmp_path / "a") == FILES
    assert done == [1, 2, 3]
    assert [one.path for one in server.asked] == ["/dicom-web/studies/1/series/2"]
    assert server.asked[0].headers["Accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'


def test_what_is_there_is_not_asked_for_again(serve, connect, tmp_path):
    (tmp_path / "1.2.2.dcm").write_bytes(FILES["1.2.2"])
    server = serve(one_by_one)
    retrieve(connect(server.address()), SERIES, UIDS, tmp_path)
    assert kept(tmp_path) == FILES
    assert [one.path.rpartition("/")[2] for one in server.asked] == ["1.2.1", "1.2.3"]
    retrieve(connect(server.address()), SERIES, UIDS, tmp_path)
    assert len(server.asked) == 2


@pytest.mark.parametrize("cut", [10, 300, len(FILES["1.2.1"]) + 200, -12], ids=["header", "first", "second", "end"])
def test_an_answer_that_breaks_off_is_used_as_far_as_it_came(serve, connect, waits, tmp_path, cut):
    whole = parts_answer(list(FILES.values()))
    broken = Said(200, whole.body, whole.headers, cut=cut)
    server = serve(
        lambda asked: broken if asked.number == 0 else whole if asked.path.endswith("/2") else one_by_one(asked)
    )
    retrieve(connect(server.address()), SERIES, UIDS, tmp_path)
    assert kept(tmp_path) == FILES
    came = sum(cut % len(whole.body) > len(parts_answer(list(FILES.values())[:n]).body) - 8 for n in (1, 2, 3))
    assert len(server.asked) == (1 + 3 - came if came else 2)


def test_an_archive_that_gives_no_series_gives_instances(serve, connect, waits, tmp_path):
    server = serve(lambda asked: Said(501) if asked.path.endswith("/2") else one_by_one(asked))
    retrieve(connect(server.address()), SERIES, UIDS, tmp_path)
    assert kept(tmp_path) == FILES


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (lambda asked: Said(404) if "1.2.3" in asked.path else parts_answer([FILES["1.2.1"], FILES["1.2.2"]]),
         r"was not found \(404\)"),
        (lambda asked: parts_answer([FILES["1.2.1"], FILES["1.2.2"]]), r"did not send them, such as 1.2.3"),
        (lambda asked: parts_answer([FILES["1.2.1"], FILES["1.2.2"], b"<html>"]), r"a part that is not a DICOM file"),
        (lambda asked: parts_answer([FILES["1.2.1"], FILES["1.2.2"]]) if asked.number == 0 else Said(200, b"<html>"),
         r"expected multipart/related"),
    ],
)  # fmt: skip
def test_a_part_of_a_series_is_an_error_and_is_kept_for_later(serve, connect, waits, tmp_path, rule, reason):
    with pytest.raises(ArchiveError, match=f"/studies/1/series/2: 1 of 3 instances were not received, .*{reason}"):
        retrieve(connect(serve(rule).address()), SERIES, UIDS, tmp_path)
    assert set(kept(tmp_path)) == {"1.2.1", "1.2.2"}


@pytest.mark.parametrize("said", [Said(500), Said(404), parts_answer([FILES["1.2.1"]])])
def test_the_first_instance_that_cannot_be_had_ends_it(serve, connect, waits, tmp_path, said):
    server = serve(lambda asked: said)
    with pytest.raises(ArchiveError, match="of 100 instances were not received"):
        retrieve(connect(server.address()), SERIES, [f"1.2.{number}" for number in range(1, 101)], tmp_path)
    assert len({one.path for one in server.asked}) == 2  # the series, and one instance


def test_images_that_are_no_longer_in_the_series_go(serve, connect, tmp_path):
    (tmp_path / "1.2.9.dcm").write_bytes(dicom_bytes("1.2.9"))
    (tmp_path / "1.2.2.dcm").write_bytes(FILES["1.2.2"])
    retrieve(connect(serve(one_by_one).address()), SERIES, UIDS, tmp_path)
    assert kept(tmp_path) == FILES


def test_identifiers_in_files_are_no_way_out_of_the_folder(serve, connect, tmp_path):
    other = dicom_bytes("1.9")
    harmful = other.replace(b"1.9\0", b"/..\0")
    assert harmful != other
    for file in (other, harmful):
        server = serve(lambda asked, file=file: parts_answer([file]))
        with pytest.raises(ArchiveError, match="1 of 1 instances were not received"):
            retrieve(connect(server.address()), SERIES, ["1.2.1"], tmp_path / "a" / "b")
    assert list(tmp_path.rglob("*.dcm")) == []


def test_an_archive_that_is_gone_ends_it_and_keeps_what_came(serve, connect, waits, tmp_path):
    server = serve(lambda asked: parts_answer(list(FILES.values())[:2]) if asked.number == 0 else Said(503))
    with pytest.raises(ArchiveStoppedError, match="answered 503"):
        retrieve(connect(server.address()), SERIES, UIDS, tmp_path)
    assert set(kept(tmp_path)) == {"1.2.1", "1.2.2"}


def test_a_full_disk_is_said_and_not_taken_for_a_bad_connection(serve, connect, waits, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("promise_seg.storage.files._sync_file", full)
    server = serve(lambda asked: parts_answer(list(FILES.values())))
    with pytest.raises(PromiseError, match="cannot write: No space left on device") as caught:
        retrieve(connect(server.address()), SERIES, UIDS, tmp_path)
    assert not isinstance(caught.value, ArchiveError)
    assert waits == []
    assert kept(tmp_path) == {}
