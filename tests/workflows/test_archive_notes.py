import pytest

from promise_seg.archives.searching import Series
from promise_seg.workflows.archive_notes import SeriesNote, SeriesNotes, instances_sha256

SERIES = Series("1.2", "1.2.3")
NOTE = SeriesNote(instances_sha256(["1", "2"]), ("masks/a.dcm", "masks/b.dcm"), {"https://h/d": ("masks/a.dcm",)})


def test_what_is_noted_is_read(tmp_path):
    notes = SeriesNotes(tmp_path)
    assert notes.read(SERIES) is None
    notes.write(SERIES, NOTE)
    assert SeriesNotes(tmp_path).read(SERIES) == NOTE
    assert notes.read(Series("1.2", "1.2.4")) is None


def test_each_archive_has_its_own_masks():
    note = NOTE.with_sent("https://other/d", "masks/b.dcm").with_sent("https://h/d", "masks/b.dcm")
    assert note.sent_to("https://h/d") == ("masks/a.dcm", "masks/b.dcm")
    assert note.sent_to("https://other/d") == ("masks/b.dcm",)
    assert note.sent_to("https://third/d") == ()


def test_the_order_of_instances_does_not_count_but_each_of_them_does():
    assert instances_sha256(["1.2", "1.3"]) == instances_sha256(["1.3", "1.2"])
    assert instances_sha256(["1.2", "1.3"]) != instances_sha256(["1.2"]) != instances_sha256(["1.2", "1.31"])


@pytest.mark.parametrize(
    "change", [lambda b: b[:-20], lambda b: b.replace(b"b.dcm", b"c.dcm"), lambda b: b"[]", lambda b: b"{}"]
)
def test_a_note_that_was_damaged_counts_for_nothing(tmp_path, change):
    notes = SeriesNotes(tmp_path)
    notes.write(SERIES, NOTE)
    (path,) = tmp_path.rglob("*.json")
    path.write_bytes(change(path.read_bytes()))
    assert notes.read(SERIES) is None
