"""JSON of ours is read by one rule: whatever else is in its place is an error of one kind, with what was found."""

import pytest

from promise_seg.storage.files import read_json, read_json_lines, read_json_object, write_json

ODD = [
    (b"", "Expecting value"),
    (b"{", "Expecting property name"),
    (b"\xff\xfe{}", r"not text in UTF-8 \(byte 0\)"),
    (b"[" * 100_000, "nested too deeply"),
]
NO_OBJECTS = [(b"null", "holds null"), (b"[]", "holds list"), (b"3", "holds int"), (b'"a"', "holds str")]


def test_what_is_written_is_read(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None, "ä"]})
    assert read_json(tmp_path / "a.json") == read_json_object(tmp_path / "a.json") == {"a": [1, None, "ä"]}


@pytest.mark.parametrize(("content", "words"), ODD)
@pytest.mark.parametrize("read", [read_json, read_json_object])
def test_what_is_no_json(tmp_path, read, content, words):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(("content", "words"), NO_OBJECTS)
def test_what_is_no_object(tmp_path, content, words):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"{words}, expected an object"):
        read_json_object(tmp_path / "a.json")


@pytest.mark.parametrize(("content", "words"), [*ODD[1:], *NO_OBJECTS])
def test_a_line_that_is_no_object_is_named(tmp_path, content, words):
    (tmp_path / "a.jsonl").write_bytes(b'{"epoch": 1}\n\n' + content + b"\n")
    with pytest.raises(ValueError, match=f"line 3: .*{words}"):
        read_json_lines(tmp_path / "a.jsonl")


def test_lines_are_read_in_their_order_without_empty_ones(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"epoch": 1}\n\n{"epoch": 2}')
    assert read_json_lines(tmp_path / "a.jsonl") == [{"epoch": 1}, {"epoch": 2}]
