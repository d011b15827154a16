import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_seg.archives.errors import ArchiveError
from promise_seg.archives.multipart import Parts, boundary_of, one_part

BOUNDARY = b"mark"


def message(parts, headers=b"Content-Type: application/dicom"):
    head = b"\r\n".join((headers, b"\r\n")) if headers else b"\r\n"
    return b"".join(b"\r\n--mark\r\n" + head + part for part in parts)[2:] + b"\r\n--mark--\r\n"


def chunks(content, size):
    return [content[at : at + size] for at in range(0, len(content), size)]


def read(content, size):
    parts = Parts(chunks(content, size), BOUNDARY)
    found = []
    for pieces in parts:
        part = b"".join(pieces)
        if parts.part_is_complete:
            found.append(part)
    return found, parts.is_complete


some_bytes = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--mar", b"\r\n--mar", b"\0", b"abc"])).map(b"".join)


@given(
    st.lists(some_bytes, min_size=1, max_size=4), st.integers(1, 40), st.sampled_from([b"", b"A: b", b"A: b\r\nC: d"])
)
def test_parts_come_back_however_they_are_cut(parts, size, headers):
    assert read(message(parts, headers), size) == (parts, True)


@given(st.integers(1, 200), st.integers(1, 40))
def test_an_answer_that_broke_off_gives_only_whole_parts(left_out, size):
    parts = [b"first" * 5, b"second" * 5]
    content = message(parts)
    found, is_complete = read(content[: -2 - left_out], size)
    assert not is_complete
    assert found == parts[: len(found)]


def test_a_part_need_not_be_read():
    assert sum(1 for _ in Parts(chunks(message([b"a" * 100, b"b"]), 7), BOUNDARY)) == 2


def test_memory_does_not_hold_a_part():
    content = message([b"x" * 100_000])
    assert max(len(piece) for pieces in Parts(chunks(content, 1000), BOUNDARY) for piece in pieces) <= 2000


def test_headers_without_an_end_are_refused():
    with pytest.raises(ArchiveError, match="a part whose header does not end within"):
        read(b"--mark\r\n" + b"x" * 200_000, 1000)


@pytest.mark.parametrize(
    "kind", ['multipart/related; type="application/dicom"; boundary="a b"', "multipart/related;boundary=x"]
)
def test_the_boundary_is_found_with_quotes_and_without(kind):
    assert boundary_of(kind) in (b"a b", b"x")


@pytest.mark.parametrize("kind", ["text/html", "", "multipart/related", "application/dicom"])
def test_other_answers_are_refused(kind):
    with pytest.raises(ArchiveError, match=r"expected multipart/related"):
        boundary_of(kind)


def test_what_is_sent_can_be_read():
    content = bytes(range(256)) * 3
    body, kind = one_part(content)
    assert [b"".join(pieces) for pieces in Parts([body], boundary_of(kind))] == [content]
