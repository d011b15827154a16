"""JSON of ours that was changed after it was written is refused; what has no hash is read as it is."""

import json

import pytest

from promise_seg.storage.sealed import (
    KEY,
    opened,
    opened_line,
    read_sealed,
    read_sealed_lines,
    sealed_line,
    write_sealed,
)

CONTENT = {"a": [1, None, "ä"], "b": {"c": 0.1}}


def test_what_is_written_is_read(tmp_path):
    write_sealed(tmp_path / "a.json", CONTENT)
    assert read_sealed(tmp_path / "a.json") == CONTENT
    assert len(json.loads((tmp_path / "a.json").read_text())[KEY]) == 64


def test_no_flipped_bit_gives_other_content(tmp_path):
    write_sealed(tmp_path / "a.json", CONTENT)
    whole = (tmp_path / "a.json").read_bytes()
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / "a.json").write_bytes(flipped)
        try:
            found = read_sealed(tmp_path / "a.json")
        except ValueError:
            continue
        assert {name: found.get(name) for name in CONTENT} == CONTENT  # the name of the hash may be another


def test_what_was_changed_on_purpose_is_read_without_its_hash(tmp_path):
    write_sealed(tmp_path / "a.json", CONTENT)
    changed = json.loads((tmp_path / "a.json").read_text()) | {"a": 2}
    (tmp_path / "a.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=f"its SHA-256 differs.*remove its entry {KEY}"):
        read_sealed(tmp_path / "a.json")
    del changed[KEY]
    (tmp_path / "a.json").write_text(json.dumps(changed))
    assert read_sealed(tmp_path / "a.json")["a"] == 2
    assert opened(changed) == changed


def test_a_changed_line_is_named(tmp_path):
    lines = [sealed_line({"epoch": number, "dice": 0.5}) for number in (1, 2)]
    (tmp_path / "log.jsonl").write_text("".join(lines))
    assert read_sealed_lines(tmp_path / "log.jsonl") == [{"epoch": 1, "dice": 0.5}, {"epoch": 2, "dice": 0.5}]
    (tmp_path / "log.jsonl").write_text(lines[0] + "\n" + lines[1].replace("0.5", "0.7"))
    with pytest.raises(ValueError, match=r"line 3: .*SHA-256 differs"):
        read_sealed_lines(tmp_path / "log.jsonl")


@pytest.mark.parametrize("sort_keys", [True, False])
def test_a_line_is_opened_whatever_the_order_of_its_entries(sort_keys):
    value = {"at": 0.5, "image": 'a"b\\u00e9.png', "lines": [{"z": "1", "a": f'"{KEY}": "x", '}], "stem": "ä"}
    line = sealed_line(value, sort_keys=sort_keys).encode()
    assert opened_line(line) == value
    assert opened_line(b'{"at": 1}\n') == {"at": 1}  # of people who took the hash out
    for damaged in (line.replace(b'"1"', b'"2"'), line.replace(b"0.5", b"0.6"), line.replace(b'"at"', b'"an"')):
        with pytest.raises(ValueError, match="its SHA-256 differs"):
            opened_line(damaged)
    with pytest.raises(ValueError, match="line 1 column"):
        opened_line(line[:-5])
