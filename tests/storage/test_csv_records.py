import pytest

from promise_seg.storage.csv_records import records


def test_rows_are_read_by_the_names_of_their_columns():
    lines = ["image,mask\n", '"a,1.png",m.png\n', "\n", "b.png,\n"]
    assert list(records(lines)) == [{"image": "a,1.png", "mask": "m.png"}, {"image": "b.png", "mask": ""}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,1.png,m.png", "line 3: found 3 cells; expected the 2 of the header"),
        ("a.png,m.png,", "line 3: found 3 cells; expected the 2 of the header"),
        ("a.png", "line 3: found 1 cells; expected the 2 of the header"),
        ('"a"' + "b" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_a_row_of_another_length_is_named(row, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        list(records(["image,mask\n", "c.png,n.png\n", row]))
