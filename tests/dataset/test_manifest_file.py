"""Files as other programs save them, and what cannot be read."""

import codecs

import pyarrow
import pytest
from pyarrow import parquet

from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.manifest_file import located, read_file
from promise_seg.dataset.manifest_writing import ManifestTable
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.storage import parquet_files
from promise_seg.vocabulary import Split

LINES = ("image_name,train_type,mask_name,Site", "ü/a.png,train,m/a.png,x;y", "ü/b.png,val,m/b.png,")


def save(path, lines, encoding="utf-8", end="\n"):
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_encodings_and_ends_of_lines_make_no_difference(path, encoding, end, separator):
    lines = [line.replace(";", "").replace(",", separator) for line in LINES]
    rows = read_manifest(save(path, lines, encoding, end))
    assert [row.image.relative_to(path.parent).as_posix() for row in rows] == ["ü/a.png", "ü/b.png"]
    assert [row.where for row in rows] == [f"{path}:2", f"{path}:3"]
    assert [row.extra for row in rows] == [(("Site", "xy"),), (("Site", ""),)]


def test_utf_16_of_the_other_byte_order(path):
    path.write_bytes(codecs.BOM_UTF16_BE + "\n".join(LINES).encode("utf-16-be"))
    assert len(read_manifest(path)) == 2


def test_the_header_decides_on_the_separator_whatever_stands_in_cells(path):
    save(path, ["image_name;train_type;mask_name", "a,1.png;train;a,2.png"])
    assert read_file(path).cells == [["a,1.png", "train", "a,2.png"]]
    save(path, LINES)
    assert read_manifest(path)[0].extra == (("Site", "x;y"),)


def test_names_of_columns_are_stripped_and_may_be_in_capitals(path):
    save(path, [" Image_Name , TRAIN_TYPE,mask_name ,Group, Site ", "a.png,train,b.png,p,s"])
    assert read_file(path).header == ["image_name", "train_type", "mask_name", "group", "Site"]
    (row,) = read_manifest(path)
    assert (row.group, row.extra) == ("p", (("Site", "s"),))


def test_a_column_of_the_very_name_goes_before_one_in_capitals(path):
    save(path, ["image_name,train_type,mask_name,group,Group", "a.png,train,b.png,p,other"])
    (row,) = read_manifest(path)
    assert (row.group, row.extra) == ("p", (("Group", "other"),))


def test_rows_of_nothing_are_skipped_and_lines_still_counted(path):
    save(path, ["", LINES[0], "", ",,,", " , ,", LINES[1], ",,", LINES[2], ",,,"])
    assert [row.where for row in read_manifest(path)] == [f"{path}:6", f"{path}:8"]
    save(path, [LINES[0], ",,,"])
    with pytest.raises(ManifestError, match="no rows"):
        read_manifest(path)


@pytest.mark.parametrize("name", ["train_type", "mask_name", "group", " slice "])
def test_a_known_column_is_there_once(path, name):
    save(path, [f"image_name,train_type,mask_name,group,slice,{name}", "a.png,val,b.png,p,0,train"])
    with pytest.raises(ManifestError, match=rf"m\.csv:1: column\(s\) {name.strip()} are there more than once"):
        read_manifest(path)


def test_other_columns_may_have_the_same_name(path):
    save(path, ["image_name,train_type,mask_name,note,note", "a.png,val,b.png,one,other"])
    assert len(read_manifest(path)) == 1


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_other_encodings_are_named_with_the_line_and_the_way_out(path, encoding, end):
    save(path, ["image_name,train_type,mask_name", "a.png,train,b.png", "ü.png,train,b.png"], encoding, end)
    with pytest.raises(ManifestError, match=r"m\.csv:3: .*found the byte 0xfc.*Save it as UTF-8") as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)


def test_half_a_utf_16_and_a_folder_are_no_csv(path, tmp_path):
    path.write_bytes(codecs.BOM_UTF16_LE + b"a")
    with pytest.raises(ManifestError, match=r"m\.csv: cannot be read as a CSV in UTF-16.*Save it as UTF-8"):
        read_manifest(path)
    with pytest.raises(ManifestError, match=r"is a folder; expected a CSV\..* promise data make .* -o DATA\.csv$"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "start", [b"PK\3\4\x14\0\6\0", b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image_name,".encode("utf-16-le")]
)
def test_workbooks_images_and_utf_16_without_a_mark_are_refused_in_words_that_can_be_read(path, start):
    path.write_bytes(start)
    with pytest.raises(ManifestError, match=r"m\.csv: cannot be read as a CSV: .*in Excel, choose") as caught:
        read_manifest(path)
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("first", ["sep=;", "SEP=,"])
def test_the_line_that_tells_excel_the_separator_is_skipped_and_counted(path, first):
    save(path, [first, *(line.replace(";", "").replace(",", ";") for line in LINES)], end="\r\n")
    assert [row.where for row in read_manifest(path)] == [f"{path}:3", f"{path}:4"]


def test_a_tilde_is_the_home_folder_if_only_that_has_such_a_file(tmp_path, monkeypatch):
    home, folder = tmp_path / "home", tmp_path / "data"
    for name, value in (("HOME", str(home)), ("USERPROFILE", str(home))):
        monkeypatch.setenv(name, value)
    home.mkdir()
    (home / "a.png").touch()
    assert located(folder, "~/a.png") == home / "a.png"
    assert located(folder, "~/b.png") == folder / "~/b.png"
    (folder / "~").mkdir(parents=True)
    (folder / "~/a.png").touch()
    assert located(folder, "~/a.png") == folder / "~/a.png"


def test_backslashes_are_slashes_if_only_such_a_file_exists(tmp_path):
    (tmp_path / "i").mkdir()
    (tmp_path / "i/a.png").touch()
    assert located(tmp_path, " i\\a.png ") == tmp_path / "i/a.png"
    assert located(tmp_path, "i\\b.png") == tmp_path / "i\\b.png"
    (tmp_path / "i\\a.png").touch()
    assert located(tmp_path, "i\\a.png") == tmp_path / "i\\a.png"
    assert located(tmp_path, "\\" + "a" * 300) == tmp_path / ("\\" + "a" * 300)


@pytest.mark.parametrize("place", ["old/new.csv", "new.csv"])
def test_what_was_read_so_can_be_written_anew_and_read_again(tmp_path, place):
    (tmp_path / "old/ü").mkdir(parents=True)
    (tmp_path / "old/ü/a.png").touch()
    path = save(
        tmp_path / "old/m.csv",
        ["Image_Name ;TRAIN_TYPE;mask_name;note", ";;;", "ü\\a.png;Train;ü\\a.png;x, y", ";;;"],
        "utf-16",
    )
    (before,) = read_manifest(path)
    table = ManifestTable.read(path).with_splits({before.where: Split.TEST})
    table.moved_to(tmp_path / place).write()
    (after,) = read_manifest(tmp_path / place)
    assert after.image.resolve() == before.image.resolve() == tmp_path / "old/ü/a.png"
    assert after.mask.resolve() == before.mask.resolve()
    assert (after.split, after.extra) == (Split.TEST, (("note", "x, y"),))
    assert (tmp_path / place).read_text(encoding="utf-8").startswith("image_name,train_type,mask_name,note\n")


def test_a_parquet_file_is_read_as_its_csv_would_be(tmp_path):
    columns = {"image_name": ["a.nii", "b.nii"], "train_type": ["train", "val"], "mask_name": ["m.nii", "n.nii"],
               "slice": [3, None]}  # fmt: skip
    path = tmp_path / "m.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    rows = read_manifest(path)
    assert [(row.where, row.image.name, row.mask.name, row.split, row.slices) for row in rows] == [
        (f"{path}:2", "a.nii", "m.nii", Split.TRAIN, (3, 3)),
        (f"{path}:3", "b.nii", "n.nii", Split.VAL, None),
    ]


def test_what_is_wrong_with_a_parquet_file_is_said(tmp_path, monkeypatch):
    path = tmp_path / "m.parquet"
    with pytest.raises(ManifestError, match=r"m\.parquet: no such file\. Expected a CSV"):
        read_manifest(path)
    path.write_text("image_name,train_type,mask_name")
    with pytest.raises(ManifestError, match=r"m\.parquet: cannot be read as a Parquet file: .*magic bytes"):
        read_manifest(path)
    parquet.write_table(pyarrow.table({"image": ["a.png"]}), path)
    with pytest.raises(ManifestError, match=r"m\.parquet:1: missing column\(s\) image_name, train_type, mask_name"):
        read_manifest(path)
    monkeypatch.setattr(parquet_files, "is_installed", lambda: False)
    with pytest.raises(SettingsError, match=r"m\.parquet: needs the Python package pyarrow.*promise-seg\[parquet\]"):
        read_manifest(path)
