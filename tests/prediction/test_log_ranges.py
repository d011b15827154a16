"""However a log is divided, its ranges have each of its lines once."""

import pytest

from promise_seg.prediction.log_ranges import lines_in, ranges_of

LINES = [b"one\n", b"\n", b"a long line of a log\n", b"two\r\n", b"\n", b"last\n"]
WHOLE = b"".join(LINES)


def read(path, start, most):
    """The lines with their places, and the end of the last one."""
    found = [lines_in(some) for some in ranges_of(path, start, most)]
    lines = [(place, line) for each in found for place, line in zip(each.places.tolist(), each.lines, strict=True)]
    return lines, max([each.end for each in found], default=0)


@pytest.mark.parametrize("being_written", [b"", b"x", b"not yet whole"])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 7, 20, 1000])
def test_each_line_is_in_one_range(most, being_written, tmp_path):
    path, place, wanted = tmp_path / "log.jsonl", 0, []
    path.write_bytes(WHOLE + being_written)
    for line in LINES:
        wanted.append((place, line))
        place += len(line)
    for number, (start, _) in enumerate(wanted):
        assert read(path, start, most) == (wanted[number:], len(WHOLE))
    assert read(path, len(WHOLE), most) == ([], 0)


def test_a_log_that_is_shorter_than_what_was_read_of_it_has_no_more_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(WHOLE)
    (some,) = ranges_of(path, 0, 1000)
    assert ranges_of(path, 1000, 4) == []
    path.write_bytes(LINES[0])
    assert lines_in(some).lines == LINES[:1]
    assert lines_in(some._replace(start=10)).lines == []
