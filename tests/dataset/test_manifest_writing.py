import csv

import pytest

from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.manifest_writing import ManifestTable, path_from, refuse_existing, slice_ranges
from promise_seg.errors import PromiseError
from promise_seg.vocabulary import Split

TEXT = (
    "\ufeffage,image_name,train_type,mask_name,note\n"
    '7,i/a.png, train ,m/a.png,"x, ""y""\nz"\n'
    "\n"
    "8,/abs/b.png,val,m/b.png\n"
)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "old").mkdir()
    path = tmp_path / "old/m.csv"
    path.write_text(TEXT, encoding="utf-8")
    return path


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_all_but_the_split_is_kept_as_it_is(path):
    rows = read_manifest(path)
    table = ManifestTable.read(path)
    table.with_splits({row.where: Split.TEST for row in rows}).moved_to(path).write()
    assert cells(path) == [
        ["age", "image_name", "train_type", "mask_name", "note"],
        ["7", "i/a.png", "test", "m/a.png", 'x, "y"\nz'],
        ["8", "/abs/b.png", "test", "m/b.png"],
    ]


def test_paths_lead_to_the_same_files_from_another_folder(path, tmp_path):
    before = read_manifest(path)
    ManifestTable.read(path).moved_to(tmp_path / "new/deep/m.csv").write()
    after = read_manifest(tmp_path / "new/deep/m.csv")
    for old, new in zip(before, after, strict=True):
        assert (old.image.resolve(), old.mask.resolve()) == (new.image.resolve(), new.mask.resolve())
    assert cells(tmp_path / "new/deep/m.csv")[1][1] == "../../old/i/a.png"
    assert cells(tmp_path / "new/deep/m.csv")[2][1] == "/abs/b.png"


def test_links_are_followed_where_a_path_leads_up_and_only_there(tmp_path):
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "real/a.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real/below", target_is_directory=True)
    assert (tmp_path / "link" / path_from(tmp_path / "link", tmp_path / "real/a.png")).exists()
    assert path_from(tmp_path, tmp_path / "link/b.png") == "link/b.png"


def test_names_that_are_no_utf_8(path):
    table = ManifestTable.read(path)
    table.cells[0][1] = "i/\udcff.png"
    with pytest.raises(PromiseError, match=r"m\.csv: cannot be written: a file name has '.udcff'.*i/.udcff\.png"):
        table.write()
    assert path.read_text(encoding="utf-8") == TEXT


def test_existing_files_are_protected(path):
    refuse_existing([path.with_name("new.csv")], force=False)
    refuse_existing([path], force=True)
    with pytest.raises(PromiseError, match=r"m\.csv: already exists\. Pass --force"):
        refuse_existing([path], force=False)
    with pytest.raises(PromiseError, match="is a folder"):
        refuse_existing([path.parent], force=True)
    with pytest.raises(PromiseError, match=r"cannot be written: File name too long\. Choose another -o"):
        refuse_existing([path.with_name("a" * 300)], force=True)


@pytest.mark.parametrize("name", ["new.parquet", "new.XLSX"])
def test_a_csv_is_not_written_under_the_name_of_another_format(tmp_path, name):
    with pytest.raises(PromiseError, match=r"-o .*: what is written is a CSV; expected a name such as .*new\.csv"):
        refuse_existing([tmp_path / name], force=True)


def test_slices_are_named_as_ranges():
    assert slice_ranges([3, 1, 2, 7]) == ["1-3", "7"]
    assert slice_ranges([5]) == ["5"]
    assert slice_ranges([]) == []
