import pytest

from promise_seg.dataset.manifest import (
    of_split,
    raise_all,
    read_manifest,
    split_off_validation,
    with_files_together,
)
from promise_seg.errors import ManifestError
from promise_seg.vocabulary import Split
from tests.helpers import write_dataset

HEADER = "image_name,train_type,mask_name\n"


def write(path, text):
    path.write_text(text)
    return path


def test_paths_count_from_the_csv_and_extra_columns_are_allowed(manifest):
    rows = read_manifest(manifest)
    assert len(rows) == 10
    assert rows[0].image == manifest.parent / "images/0.png"
    assert rows[0].where == f"{manifest}:2"
    assert rows[3].group == "g1"


def test_absolute_paths_stay(tmp_path):
    rows = read_manifest(write(tmp_path / "m.csv", HEADER + "/data/a.png,train,/data/b.png\n"))
    assert str(rows[0].image) == "/data/a.png"


def test_without_groups_each_image_is_its_own(tmp_path):
    rows = read_manifest(write(tmp_path / "m.csv", HEADER + "a.png,train,a.png\nb.png,TEST,b.png\n"))
    assert len({row.group for row in rows}) == 2
    assert rows[1].split == Split.TEST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (HEADER, "no rows"),
        ("image_name,mask_name\na,b\n", r"m\.csv:1: missing column\(s\) train_type; found image_name, mask_name"),
        (HEADER + "a.png,training,a.png\n", r"m\.csv:2: unknown train_type 'training'; expected train, val, test"),
        (HEADER + "a.png,train,\n", r"m\.csv:2: column\(s\) mask_name are empty"),
        (HEADER + "a.png\n", r"m\.csv:2: column\(s\) train_type, mask_name are empty, .* ends after 1 of 3 cells; "),
        (HEADER + "a.png,train,a.png,,x, ,y\n", r"m\.csv:2: found 'x', 'y' beyond the last column .*, mask_name; "),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(write(tmp_path / "m.csv", text))


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ManifestError, match="cannot be read as a CSV"):
        read_manifest(tmp_path / "binary.csv")


def test_all_bad_rows_are_named_at_once(tmp_path):
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(tmp_path / "m.csv", HEADER + "a,x,a\nb,train,b\nc,y,c\n"))
    assert "m.csv:2" in str(caught.value)
    assert "m.csv:4" in str(caught.value)
    assert "2 problems" in str(caught.value)


def test_splitting_off_validation_keeps_groups_whole_and_repeats_itself(tmp_path):
    rows = read_manifest(write_dataset(tmp_path, ("train",) * 12 + ("test",) * 2))
    split = split_off_validation(rows, share=0.3, seed=1)
    train, val = of_split(split, Split.TRAIN), of_split(split, Split.VAL)
    assert len(val) == 4
    assert not {r.group for r in train} & {r.group for r in val}
    assert of_split(split, Split.TEST) == of_split(rows, Split.TEST)
    assert split == split_off_validation(rows, share=0.3, seed=1)


@pytest.mark.parametrize("seed", range(4))
def test_one_file_by_two_paths_comes_to_one_side(tmp_path, seed):
    manifest = write_dataset(tmp_path, ("train",) * 12)
    before = split_off_validation(read_manifest(manifest), share=0.3, seed=seed)
    again = manifest.read_text().splitlines()[1].replace("images/", "images/../images/")
    manifest.write_text(manifest.read_text().rstrip("\n") + f"\n{again}\n")
    rows = split_off_validation(read_manifest(manifest), share=0.3, seed=seed)
    assert "images/../images/" in str(rows[12].image)
    assert rows[12].split == rows[0].split
    assert [row.split for row in rows[:12]] == [row.split for row in before]  # the others stay where they were


@pytest.mark.parametrize("seed", range(4))
def test_a_row_without_a_group_is_in_that_of_its_file(tmp_path, seed):
    lines = [f"{n}.nii,train,{n}m.nii,p{n},0" for n in range(8)] + ["0.nii,train,0m.nii,,1"]
    path = write(tmp_path / "m.csv", "\n".join(["image_name,train_type,mask_name,group,slice", *lines]))
    rows = split_off_validation(read_manifest(path), share=0.3, seed=seed)
    assert rows[8].split == rows[0].split


def test_links_that_lead_to_each_other_are_rows_of_their_own(tmp_path):
    try:
        (tmp_path / "a.png").symlink_to("b.png")
        (tmp_path / "b.png").symlink_to("a.png")
    except OSError:
        pytest.skip("links cannot be made here")
    path = write(tmp_path / "m.csv", HEADER + "a.png,train,a.png\nb.png,train,b.png\n")
    assert len({row.group for row in with_files_together(read_manifest(path))}) == 2


def test_too_few_groups_to_split(tmp_path):
    rows = read_manifest(write_dataset(tmp_path, ("train",) * 2))
    with pytest.raises(ManifestError, match="too few groups"):
        split_off_validation(rows)


def test_a_cell_with_the_separator_must_be_in_quotes(tmp_path):
    header = "image_name,train_type,mask_name,slice\n"
    text = header + "a.nii,train,b.nii,0,2\nc.nii,train,d.nii,1\n"
    with pytest.raises(ManifestError, match=r"m\.csv:2: found '2' beyond .*, slice; .* 4 cells\. Put .* in quotes"):
        read_manifest(write(tmp_path / "m.csv", text))
    with pytest.raises(ManifestError, match=r"m\.csv:2: slice '0,2'; expected"):
        read_manifest(write(tmp_path / "m.csv", text.replace("0,2", '"0,2"')))
    (row,) = read_manifest(write(tmp_path / "m.csv", HEADER + '"a,1.png",train,"a,2.png"\n'))
    assert (row.image.name, row.mask.name) == ("a,1.png", "a,2.png")


def test_a_row_may_leave_out_empty_cells_at_its_end_and_have_some_beyond_the_header(tmp_path):
    text = "image_name,train_type,mask_name,group,slice\na.nii,train,b.nii\nc.nii,train,d.nii,g,1,, ,\n"
    first, second = read_manifest(write(tmp_path / "m.csv", text))
    assert (first.has_group, first.slices, second.group, second.slices) == (False, None, "g", (1, 1))


@pytest.mark.parametrize(("text", "slices"), [("", None), ("7", (7, 7)), ("10-40", (10, 40)), (" 0-0 ", (0, 0))])
def test_slices_of_volumes(tmp_path, text, slices):
    path = tmp_path / "m.csv"
    path.write_text(f"image_name,train_type,mask_name,slice\nct.nii,train,seg.nii,{text}\n")
    assert read_manifest(path)[0].slices == slices
    assert read_manifest(path)[0].every == 1


@pytest.mark.parametrize(("text", "slices"), [(":5", None), ("10-40:5", (10, 40)), (" 7:5", (7, 7))])
def test_every_nth_slice(tmp_path, text, slices):
    path = tmp_path / "m.csv"
    path.write_text(f"image_name,train_type,mask_name,slice\nct.nii,train,seg.nii,{text}\n")
    (row,) = read_manifest(path)
    assert (row.slices, row.every) == (slices, 5)


@pytest.mark.parametrize(
    "text",
    ["-3", "a", "4-2", "1-", "1.5", ":0", ":", "1-4:", "1-4:-2", ":2:2", pytest.param("9" * 5000, id="long")],
)
def test_what_is_no_slice(tmp_path, text):
    path = tmp_path / "m.csv"
    path.write_text(f"image_name,train_type,mask_name,slice\nct.nii,train,seg.nii,{text}\n")
    with pytest.raises(ManifestError, match=r"m\.csv:2: slice .*expected a number from 0, the first and last"):
        read_manifest(path)


def test_the_first_20_problems_are_listed_and_the_others_counted():
    with pytest.raises(ManifestError) as raised:
        raise_all([f"m.csv:{line}: empty" for line in range(2, 32)])
    lines = str(raised.value).splitlines()
    assert lines[0] == "30 problems:"
    assert lines[20:] == ["m.csv:21: empty", "and 10 more; promise data check lists them by kind"]
    with pytest.raises(ManifestError, match=r"\A20 problems:(\n.*empty){20}\Z"):
        raise_all([f"m.csv:{line}: empty" for line in range(2, 22)])
