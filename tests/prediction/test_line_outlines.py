"""The outline of a line of a log is what the whole line says, or there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promise_seg.prediction import line_outlines
from promise_seg.prediction.line_outlines import SUFFIXES, outline_of, outlines_of
from promise_seg.prediction.part_logs import Entry
from promise_seg.prediction.table import COLUMNS
from promise_seg.storage.sealed import opened_line, sealed_line

TEXTS = st.text(st.sampled_from('a/.\\"é{}[]:, \n') | st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['", "lines": [{"', '}], "problem": "", "state": [[1, 2]], "stem": "x"}', '"mask": "masks/x.png"', "folder/one"]
)
PLAIN = st.text("abcXYZ019 /._-", min_size=1, max_size=12)
NUMBERS = st.integers(0, 2**70) | st.integers(0, 2**62)


def line_of(stem="in/one", key="/data/in/one.png", suffix=".nii.gz", at=1.5, state=((3, 4),), problem="", **columns):
    row = dict.fromkeys(COLUMNS, "1") | {"mask": f"masks/{stem}{suffix}"} | columns
    lines = [] if problem else [row, row | {"mask": "masks/of_another_line.png"}]
    entry = Entry(stem, key, "image.png", at, [list(one) for one in state], lines, problem)
    return sealed_line(vars(entry), sort_keys=True).encode()


def test_a_line_has_an_outline():
    assert outline_of(line_of()) == (b"in/one", b"/data/in/one.png", 1.5, 3, 4, SUFFIXES.index(".nii.gz"))


def test_lines_have_their_outlines_in_columns(monkeypatch):
    monkeypatch.setattr(line_outlines, "_AT_ONCE", 2)
    lines = [line_of("one"), line_of(problem="damaged"), line_of("two", at=2.5, state=((5, 6),), suffix=".png")]
    found = outlines_of(lines)
    assert found.are_there.tolist() == [True, False, True]
    assert list(zip(*found[1:], strict=True)) == [outline_of(lines[0]), outline_of(lines[2])]
    for none in ([], lines[1:2]):
        assert [len(column) for column in outlines_of(none)] == [len(none), 0, 0, 0, 0, 0, 0]


@given(PLAIN, PLAIN, PLAIN, PLAIN, st.floats(1e-3, 1e20), st.integers(0, 10**18 - 1), st.integers(0, 2**63 - 1))
def test_an_ordinary_line_has_the_outline_that_the_whole_line_says(stem, key, image, points, at, size, changed):
    line = line_of(stem, key, at=at, state=((size, changed),), image=image, points=points)
    found, whole = outline_of(line), Entry(**opened_line(line))
    assert found == (stem.encode(), key.encode(), at, size, changed, SUFFIXES.index(".nii.gz"))
    assert (stem, key, at, [[size, changed]]) == (whole.stem, whole.key, whole.at, whole.state)
    assert whole.lines[0]["mask"] == f"masks/{stem}.nii.gz"


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.floats(0, 1e20), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=2), TEXTS)
def test_an_outline_is_what_the_whole_line_says_whatever_that_is_or_there_is_none(
    stem, key, image, points, at, state, problem
):
    line = line_of(stem, key, at=at, state=state, problem=problem, image=image, points=points)
    found, whole = outline_of(line), Entry(**opened_line(line))
    if found is not None:
        assert not whole.problem
        stem, key, at, size, changed, suffix = found
        assert (stem.decode(), key.decode(), at) == (whole.stem, whole.key, whole.at)
        assert [[size, changed]] == whole.state
        assert f"masks/{stem.decode()}{SUFFIXES[suffix]}" == whole.lines[0]["mask"]


@pytest.mark.parametrize(
    "other",
    [
        {"problem": "damaged"}, {"state": ()}, {"state": ((1, 2), (3, 4))}, {"state": ((1, 2**63),)}, {"stem": 'a"b'},
        {"key": "/ä.png"}, {"mask": "elsewhere/in/one.nii.gz"}, {"suffix": ".unknown"},
    ],
)  # fmt: skip
def test_lines_of_another_form_have_none(other):
    assert outline_of(line_of(**other)) is None


def test_a_line_that_is_not_what_was_written_has_none():
    line = line_of()
    for place in range(len(line)):
        for change in (1, 2, 64):
            damaged = line[:place] + bytes([line[place] ^ change]) + line[place + 1 :]
            assert outline_of(damaged) is None, damaged
    assert outline_of(line[:-1]) is None
