"""``promise data make`` as a user calls it."""

import csv

import numpy as np
import pytest
import typer
from PIL import Image

from promise_seg.cli.data_make import make
from promise_seg.cli.main import _honest
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading
from tests.helpers import disc_image, write_dataset


def run(*arguments):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(_honest(make))
    with pytest.raises(SystemExit) as end:
        app([str(argument) for argument in arguments])
    return end.value.code


def records(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
    write_dataset(tmp_path / "data").unlink()
    return tmp_path / "data"


def lay(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("place", ["data/manifest.csv", "manifest.csv", "else/where/manifest.csv"])
def test_a_manifest_that_can_be_read_from_wherever_it_lies(folder, tmp_path, capsys, place):
    assert run(folder, "-o", tmp_path / place) == 0
    rows = read_manifest(tmp_path / place)
    assert [row.image.resolve() for row in rows] == [folder / f"images/{i}.png" for i in range(10)]
    assert [row.mask.resolve() for row in rows] == [folder / f"masks/{i}.png" for i in range(10)]
    assert list(records(tmp_path / place)[0]) == ["image_name", "train_type", "mask_name"]
    assert not any(record["image_name"].startswith("/") for record in records(tmp_path / place))
    captured = capsys.readouterr()
    assert "layout: images/ and masks/\npairs: train 10\n" in captured.out
    assert "promise data split" in captured.err
    assert "warning" not in captured.err


def test_a_relative_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("data", "-o", "manifest.csv") == 0
    assert records(tmp_path / "manifest.csv")[0]["image_name"] == "data/images/0.png"


def test_what_could_not_be_paired_is_a_warning(folder, tmp_path, capsys):
    lay(folder, *(f"images/x[{i}].png" for i in range(5)), "masks/y.png", "images/0.jpg", "images/z.mgz", "more/a.png")
    assert run(folder, "-o", tmp_path / "m.csv") == 0
    assert len(records(tmp_path / "m.csv")) == 9
    captured = capsys.readouterr()
    for line in (
        "warning: 5 image(s) without mask: images/x[0].png, images/x[1].png, images/x[2].png ...",
        "warning: 1 mask(s) without image: masks/y.png",
        "warning: 1 file(s) of unknown formats ignored (.mgz 1): images/z.mgz",
        "warning: 1 folder(s) with images not used, because they are not part of the layout: more",
        "warning: 1 image(s) not paired, because more than one pairing is possible: ",
    ):
        assert line in captured.err
    assert "0.jpg and 0.png have the same stem" in captured.err
    assert "warning" not in captured.out


def test_every_file_that_is_no_image_is_counted_by_its_kind(folder, tmp_path, capsys):
    """Also those beside the folders of the layout, but neither our own manifest nor what nobody made."""
    lay(folder, "README.txt", "clinical.csv", "images/0.json", "images/1.json", "masks/notes.docx", "LICENSE", "a.mgz",
        ".git/config", "__MACOSX/images/._0.png", "images/.DS_Store", "images/._0.png", "Thumbs.db")  # fmt: skip
    manifest = folder / "m.csv"
    assert run(folder, "-o", manifest) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert said == [
        "warning: 3 file(s) of unknown formats ignored (no suffix 1, .mgz 1, .docx 1): LICENSE, a.mgz, "
        "masks/notes.docx",
        "warning: 4 table(s) and other text file(s) ignored, because they are not images (.json 2, .txt 1, .csv 1): "
        "README.txt, clinical.csv, images/0.json ...",
        "warning: 2 hidden file(s) or folder(s) ignored: .git, __MACOSX",
    ]
    assert run(folder, "-o", manifest, "--force") == 0
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")] == said


def test_splits_and_data_sets_of_the_layout(tmp_path, capsys):
    for part in ("TrainDataset", "TestDataset/Kvasir", "TestDataset/ETIS"):
        lay(tmp_path / "data", f"{part}/images/a.png", f"{part}/masks/a.png")
    assert run(tmp_path / "data", "-o", tmp_path / "m.csv") == 0
    assert [(r["train_type"], r["dataset"]) for r in records(tmp_path / "m.csv")] == [
        ("train", ""), ("test", "ETIS"), ("test", "Kvasir")
    ]  # fmt: skip
    captured = capsys.readouterr()
    assert "pairs: train 1, test 2" in captured.out
    assert "promise data split" not in captured.err


def test_groups(folder, tmp_path, capsys):
    assert run(folder, "-o", tmp_path / "m.csv", "--group", r"^(\d)") == 0
    assert [record["group"] for record in records(tmp_path / "m.csv")] == [str(i) for i in range(10)]
    assert "groups: 10, for example 0" in capsys.readouterr().out
    assert run(folder, "-o", tmp_path / "n.csv", "--group", "^([0-7])") == 2
    message = capsys.readouterr().err
    assert "does not match the names of 2 of 10 images, for example images/8.png" in message
    assert message.startswith("promise: error: ")
    assert message.count("\n") == 1
    assert run(folder, "-o", tmp_path / "n.csv", "--group", "p") == 2
    assert not (tmp_path / "n.csv").exists()


def test_an_existing_manifest_is_not_overwritten_without_force(folder, tmp_path, capsys):
    (tmp_path / "m.csv").write_text("mine")
    assert run(folder, "-o", tmp_path / "m.csv") == 2
    assert "m.csv: already exists. Pass --force" in capsys.readouterr().err
    assert (tmp_path / "m.csv").read_text() == "mine"
    assert run(folder, "-o", tmp_path / "m.csv", "--force") == 0
    assert f"replaced: {tmp_path / 'm.csv'}" in capsys.readouterr().out
    assert len(records(tmp_path / "m.csv")) == 10
    assert run(folder, "-o", tmp_path / "m.csv") == 0
    assert f"unchanged: {tmp_path / 'm.csv'}" in capsys.readouterr().out


def test_nothing_to_pair(tmp_path, capsys):
    lay(tmp_path / "data", "images/a.png", "masks/b.png")
    assert run(tmp_path / "data", "-o", tmp_path / "m.csv") == 2
    message = capsys.readouterr().err
    assert "no image could be paired with a mask" in message
    assert message.count("promise: error: ") == 1
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize(("name", "hint"), [("x/a.json", True), ("a.XML", True), ("a.txt", False)])
def test_annotations_that_are_no_masks_are_hinted_at(tmp_path, capsys, name, hint):
    lay(tmp_path / "data", "images/a.png", name)
    assert run(tmp_path / "data", "-o", tmp_path / "m.csv") == 2
    assert ("files are annotations, such as polygons: promise data import" in capsys.readouterr().err) == hint


def test_cases_are_groups_unless_others_are_named(tmp_path, capsys):
    lay(tmp_path / "data", *(f"{case}/{kind}/1.png" for case in ("p1_a", "p2_a") for kind in ("images", "masks")))
    assert run(tmp_path / "data", "-o", tmp_path / "m.csv") == 0
    assert [record["group"] for record in records(tmp_path / "m.csv")] == ["p1_a", "p2_a"]
    assert "groups: 2, for example p1_a" in capsys.readouterr().out
    assert run(tmp_path / "data", "-o", tmp_path / "m.csv", "--force", "--group", r"(p\d)") == 0
    assert [record["group"] for record in records(tmp_path / "m.csv")] == ["p1", "p2"]


@pytest.mark.parametrize("place", ["m.csv", "data/m.csv"])
def test_masks_of_single_objects_are_merged_beside_the_manifest(tmp_path, capsys, place):
    for name, image_number in (("7a", 1), ("8b", 2)):
        image, mask = disc_image(image_number)
        for kind, stem, pixels in (("images", name, image), ("masks", "x", mask), ("masks", "y", ~mask)):
            lay(tmp_path / "data", f"{name}/{kind}/{stem}.png")
            Image.fromarray(pixels).save(tmp_path / f"data/{name}/{kind}/{stem}.png")
    manifest = tmp_path / place
    assert run(tmp_path / "data", "-o", manifest) == 0
    assert [(r["mask_name"], r["group"]) for r in records(manifest)] == [
        ("m_merged_masks/7a.png", "7a"), ("m_merged_masks/8b.png", "8b")
    ]  # fmt: skip
    captured = capsys.readouterr()
    assert "merged: 4 masks of single objects into 2 instance maps (0 of them were there already)" in captured.out
    assert "warning" not in captured.err
    checked = check_rows(read_manifest(manifest), make_reading(instances=True))
    assert [len(one.instances()) for one in checked] == [2, 2]
    assert run(tmp_path / "data", "-o", manifest, "--force") == 0
    captured = capsys.readouterr()
    assert "(2 of them were there already)" in captured.out
    assert "warning" not in captured.err
    (tmp_path / "data/7a/masks/y.png").write_bytes(b"")
    assert run(tmp_path / "data", "-o", manifest, "--force") == 0
    captured = capsys.readouterr()
    assert "pairs: train 1" in captured.out
    assert "warning: 1 image(s) left out, because their masks cannot be merged: " in captured.err
    assert len(records(manifest)) == 1


def test_patterns_and_the_note_that_there_are_no_groups(tmp_path, capsys):
    lay(tmp_path / "data", *(f"{i}_{kind}" for i in "12" for kind in ("photo.jpg", "by_anna.png")))
    names = ("--images", "*_photo.jpg", "--masks", "*_by_anna.png")
    assert run(tmp_path / "data", "-o", tmp_path / "m.csv", *names) == 0
    assert [(r["image_name"], r["mask_name"]) for r in records(tmp_path / "m.csv")] == [
        (f"data/{i}_photo.jpg", f"data/{i}_by_anna.png") for i in "12"
    ]
    assert "no groups: neither the files nor their folders say" in capsys.readouterr().err
    assert run(tmp_path / "data", "-o", tmp_path / "n.csv", *names[:2]) == 2
    assert "--images and --masks: give both of them" in capsys.readouterr().err
    assert run(tmp_path / "data", "-o", tmp_path / "n.csv", "--images", "a.jpg", "--masks", "a.png") == 2
    assert "has no wildcards" in capsys.readouterr().err


def test_a_manifest_that_is_already_as_it_should_be_is_accepted_and_its_maps_stay(tmp_path, capsys):
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for number in range(2):
        image, mask = disc_image(number)
        Image.fromarray(image).save(tmp_path / f"data/images/{number}.png")
        Image.fromarray(mask).save(tmp_path / f"data/masks/{number}_a.png")
        Image.fromarray(~mask).save(tmp_path / f"data/masks/{number}_b.png")
    command = (tmp_path / "data", "--images", "images/{case}.png", "--masks", "masks/{case}_*.png", "--several",
               "instances", "-o", tmp_path / "m.csv")  # fmt: skip
    assert run(*command) == 0
    maps = {path: path.read_bytes() for path in (tmp_path / "m_merged_masks").rglob("*.png")}
    assert run(*command) == 0
    Image.fromarray(disc_image(7)[1]).save(tmp_path / "data/masks/0_a.png")
    assert run(*command) == 2
    assert "m.csv: already exists. Pass --force" in capsys.readouterr().err
    assert maps == {path: path.read_bytes() for path in (tmp_path / "m_merged_masks").rglob("*.png")}
    assert run(*command, "--force") == 0
    assert maps != {path: path.read_bytes() for path in (tmp_path / "m_merged_masks").rglob("*.png")}


def save_masks(folder, labels):
    for path in (folder / "masks").iterdir():
        Image.fromarray(labels).save(path)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (np.arange(100), "the masks look like instance maps (each value is one object): add --instances"),
        (np.arange(100) % 4, "the masks look like label maps (each value is a class): add --class"),
        (np.minimum(np.arange(100), 3) * (np.arange(100) < 4), "add --instances to the commands that follow if each"),
    ],
)
def test_the_option_with_which_masks_must_be_read_is_told(folder, tmp_path, capsys, numbers, words):
    labels = np.zeros((80, 80), np.uint16)
    labels.reshape(10, 8, 10, 8)[:, 2:6, :, 2:6] = numbers.reshape(10, 1, 10, 1)
    assert run(folder, "-o", tmp_path / "m.csv") == 0
    assert "masks" not in capsys.readouterr().err
    save_masks(folder, labels)
    assert run(folder, "-o", tmp_path / "m.csv") == 0
    assert words in capsys.readouterr().err


def test_a_single_group_of_all_images_is_warned_of(folder, tmp_path, capsys):
    assert run(folder, "-o", tmp_path / "m.csv", "--group", "(images)") == 0
    assert "warning: all 10 images are in one group, 'images', so they cannot be divided" in capsys.readouterr().err
