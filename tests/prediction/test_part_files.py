"""Files of millions of images are found by listing folders, with the same result as by asking for each."""

import pytest

from promise_seg.prediction import part_files
from promise_seg.prediction.part_files import PartFiles

STEMS = ["one", "a/one", "a/two", "a/three", "b/c/one", "b/c/two", "d/one"]


@pytest.fixture
def folder(tmp_path):
    for stem in STEMS[:-1]:
        for kind, suffix in (("masks", ".nii.gz"), ("overlays", ".png"), ("objects", ".csv")):
            path = tmp_path / kind / f"{stem}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path


def gone(folder, has_objects=True):
    files = PartFiles(folder, has_objects)
    each = [stem for stem in STEMS if files.first_gone(stem, f"masks/{stem}.nii.gz") is not None]
    there = list(files.are_there(STEMS, ".nii.gz"))
    assert each == [stem for stem, is_there in zip(STEMS, there, strict=True) if not is_there]
    return each


@pytest.mark.parametrize("most", [0, 1, 100_000])
def test_what_is_gone_is_found(folder, monkeypatch, most):
    monkeypatch.setattr(part_files, "_MOST_LISTED", most)
    assert gone(folder) == ["d/one"]
    (folder / "masks/a/two.nii.gz").unlink()
    (folder / "overlays/b/c/one.png").unlink()
    (folder / "objects/one.csv").unlink()
    assert gone(folder) == ["one", "a/two", "b/c/one", "d/one"]
    assert gone(folder, has_objects=False) == ["a/two", "b/c/one", "d/one"]


def test_links_are_followed(folder):
    (folder / "masks/one.nii.gz").rename(folder / "moved")
    (folder / "masks/one.nii.gz").symlink_to(folder / "moved")
    assert gone(folder) == ["d/one"]
    (folder / "moved").unlink()
    assert gone(folder) == ["one", "d/one"]
    (folder / "masks/a").rename(folder / "masks/e")
    (folder / "masks/a").symlink_to(folder / "masks/e")
    assert gone(folder) == ["one", "d/one"]


def test_a_folder_is_listed_once_for_many_images(folder, monkeypatch):
    monkeypatch.setattr(part_files.os.path, "exists", lambda path: pytest.fail(f"asked for {path}"))
    assert all(PartFiles(folder, has_objects=True).are_there(STEMS[:-1], ".nii.gz"))


def test_of_a_folder_with_far_more_files_little_is_listed(folder, monkeypatch):
    for number in range(200):
        (folder / "masks" / "a" / f"{number}.nii.gz").touch()
    seen, islice = [], part_files.itertools.islice
    monkeypatch.setattr(part_files.itertools, "islice", lambda found, most: seen.append(most) or islice(found, most))
    assert all(PartFiles(folder, has_objects=False).are_there(["a/one", "a/two"], ".nii.gz"))
    assert seen == [8, 8]
