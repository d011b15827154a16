"""``promise data split`` as a user calls it."""

import csv
from collections import Counter

import numpy as np
import pytest
import typer
from PIL import Image

from promise_seg.cli.data_split import split
from promise_seg.cli.main import _honest
from promise_seg.curation.inspection.findings import Kind
from promise_seg.curation.inspection.inspecting import inspect
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.scenes import draw_scene
from tests.helpers import write_dataset


def run(*arguments):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(_honest(split))
    with pytest.raises(SystemExit) as end:
        app([str(argument) for argument in arguments])
    return end.value.code


def records(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def splits(path):
    return [record["train_type"] for record in records(path)]


@pytest.fixture
def manifest(tmp_path):
    """Twenty rows in ten groups, the last four of them test."""
    return write_dataset(tmp_path / "data", ("train",) * 16 + ("test",) * 4)


def test_groups_stay_whole_and_all_else_is_kept(manifest, tmp_path, capsys):
    lines = manifest.read_text().splitlines()
    manifest.write_text(
        "\n".join([lines[0] + ",site", *(f"{line},site {i}" for i, line in enumerate(lines[1:]))]) + "\n"
    )
    out = manifest.with_name("out.csv")
    assert run(manifest, "-o", out, "--val", "0.2", "--test", "0.2") == 0
    before, after = records(manifest), records(out)
    assert [{**record, "train_type": ""} for record in before] == [{**record, "train_type": ""} for record in after]
    assert Counter(splits(out)) == {"train": 12, "val": 4, "test": 4}
    assert splits(out)[::2] == splits(out)[1::2]
    captured = capsys.readouterr()
    table = [line.replace("│", " ").split() for line in captured.out.splitlines()]
    assert ["train", "12", "6"] in [line[:3] for line in table]
    assert ["test", "4", "2"] in [line[:3] for line in table]
    assert "4 row(s) were test before and were assigned again" in captured.err
    assert "warning" not in captured.err


def test_the_result_can_be_trained_on_from_another_folder(manifest, tmp_path):
    assert run(manifest, "-o", tmp_path / "else/where/out.csv") == 0
    assert len(check_rows(read_manifest(tmp_path / "else/where/out.csv"))) == 20


def test_seeds(manifest, tmp_path):
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
        assert run(manifest, "-o", tmp_path / name, "--seed", seed) == 0
        made.append(tuple(splits(tmp_path / name)))
    assert made[0] == made[1]
    assert len(set(made)) > 1


def test_keep_test(manifest, tmp_path, capsys):
    assert run(manifest, "-o", tmp_path / "a.csv", "--keep-test", "--val", "0.25") == 0
    assert splits(tmp_path / "a.csv")[16:] == ["test"] * 4
    assert Counter(splits(tmp_path / "a.csv")[:16]) == {"train": 12, "val": 4}
    assert "assigned again" not in capsys.readouterr().err
    manifest.write_text(manifest.read_text().replace("18.png,g9", "18.png,g0"))
    assert run(manifest, "-o", tmp_path / "b.csv", "--keep-test") == 2
    message = capsys.readouterr().err
    assert "2 problems" in message
    assert f"{manifest}:2: train row of the group 'g0', which also has test rows ({manifest}:20)" in message
    assert not (tmp_path / "b.csv").exists()


def test_folds(manifest, tmp_path, capsys):
    assert run(manifest, "-o", tmp_path / "cv.csv", "--keep-test", "--folds", "4") == 0
    made = [splits(tmp_path / f"cv_fold{fold}.csv") for fold in range(4)]
    assert sorted(path.name for path in tmp_path.glob("cv*")) == [f"cv_fold{fold}.csv" for fold in range(4)]
    assert all(fold[16:] == ["test"] * 4 for fold in made)
    assert all([fold[row] for fold in made].count("val") == 1 for row in range(16))
    assert run(manifest, "-o", tmp_path / "cv.csv", "--folds", "2") == 2
    assert "cv_fold0.csv: already exists. Pass --force" in capsys.readouterr().err
    assert made[0] == splits(tmp_path / "cv_fold0.csv")


def test_folds_that_were_interrupted_are_gone_on_with(manifest, tmp_path, capsys):
    command = (manifest, "-o", tmp_path / "cv.csv", "--keep-test", "--folds", "4")
    assert run(*command) == 0
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("cv*")}
    untouched = (tmp_path / "cv_fold1.csv").stat().st_mtime_ns
    for fold in (0, 2):
        (tmp_path / f"cv_fold{fold}.csv").unlink()
    assert run(*command) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("cv*")} == whole
    assert (tmp_path / "cv_fold1.csv").stat().st_mtime_ns == untouched
    (tmp_path / "cv_fold0.csv").unlink()
    (tmp_path / "cv_fold3.csv").write_text("of someone else")
    assert run(*command) == 2
    assert "cv_fold3.csv: already exists. Pass --force" in capsys.readouterr().err
    assert not (tmp_path / "cv_fold0.csv").exists()


def test_force(manifest, tmp_path, capsys):
    before = manifest.read_text()
    assert run(manifest, "-o", manifest) == 2
    assert "--force" in capsys.readouterr().err
    assert manifest.read_text() == before
    assert run(manifest, "-o", manifest, "--force") == 0
    assert "val" in splits(manifest)


def test_masks_that_cannot_be_read_are_listed_together(manifest, tmp_path, capsys):
    (manifest.parent / "masks/0.png").unlink()
    (manifest.parent / "masks/3.png").write_text("no")
    assert run(manifest, "-o", tmp_path / "out.csv") == 2
    message = capsys.readouterr().err
    assert f"{manifest}:2: " in message
    assert f"{manifest}:5: " in message
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test", "0.2", "--keep-test"], "--test and --keep-test: give one of them"),
        (["--val", "0.2", "--folds", "3"], "--val and --folds: give one of them"),
        (["--val", "0.9"], "--val 0.9 --test 0.15: expected shares"),
        (["--folds", "1"], "--folds 1: expected 2 or more"),
        (
            ["--folds", "30"],
            "10 group(s), which stay whole; expected at least 31, one for each fold",
        ),
    ],
)
def test_settings_that_cannot_work(manifest, tmp_path, capsys, options, message):
    (manifest.parent / "masks/0.png").unlink()  # settings come first
    assert run(manifest, "-o", tmp_path / "out.csv", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_shares_that_whole_groups_do_not_allow_are_a_warning(manifest, tmp_path, capsys):
    manifest.write_text("\n".join(line.rsplit(",", 1)[0] + f",{'abc'[i % 3]}" if i else line
                                  for i, line in enumerate(manifest.read_text().splitlines())))  # fmt: skip
    assert run(manifest, "-o", tmp_path / "out.csv") == 0
    words = capsys.readouterr().err
    assert "warning: val has 3" in words
    assert "not 15%, as groups are never divided: there are 3 groups of 20 rows" in words


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("other", ["images/../images/0.png", "link.png"])
def test_a_file_under_several_names_is_not_divided(manifest, tmp_path, seed, other):
    """With some seeds, a link and the file that it leads to once came to train and val."""
    data = manifest.parent
    if other == "link.png":
        try:
            (data / other).symlink_to(data / "images/0.png")
        except OSError:
            pytest.skip("links cannot be made here")
    lines = ["image_name,train_type,mask_name", *(f"images/{n}.png,train,masks/{n}.png" for n in range(12))]
    lines += [f"{other},train,masks/0.png", "../data/images/0.png,train,masks/0.png"]
    manifest.write_text("\n".join(lines))
    assert run(manifest, "-o", tmp_path / "out.csv", "--seed", seed) == 0
    found = splits(tmp_path / "out.csv")
    assert found[0] == found[12] == found[13]


@pytest.fixture
def frames(tmp_path):
    """Twenty images without groups: each of five drawn scenes and three slightly brighter copies of it."""
    data = tmp_path / "frames"
    data.mkdir()
    lines = ["image_name,train_type,mask_name"]
    for number in range(20):
        scene = draw_scene([7, number % 5], 64, kind="mucosa")
        image = np.clip(scene.image.astype(int) + number // 5, 0, 255).astype(np.uint8)
        Image.fromarray(image).save(data / f"{number}.png")
        Image.fromarray((scene.instances > 0).astype(np.uint8) * 255).save(data / f"{number}_mask.png")
        lines.append(f"{number}.png,train,{number}_mask.png")
    (data / "all.csv").write_text("\n".join(lines))
    return data / "all.csv"


def near_duplicates(path):
    return [found for found in inspect(path).findings if found.kind == Kind.NEAR_DUPLICATE]


def test_images_that_look_the_same_stay_in_one_split(frames, tmp_path, capsys):
    assert run(frames, "-o", tmp_path / "out.csv", "--val", "0.2", "--test", "0.2") == 0
    found = splits(tmp_path / "out.csv")
    assert all(len(set(found[scene::5])) == 1 for scene in range(5))
    assert Counter(found) == {"train": 12, "val": 4, "test": 4}
    assert near_duplicates(tmp_path / "out.csv") == []
    words = capsys.readouterr().err
    assert "note: 20 images look the same as other images, for example " in words
    assert f"for example {frames.parent / '0.png'} ({frames}:2) and {frames.parent / '5.png'} ({frames}:7)" in words
    assert "which leaves 5 of 20 groups; --no-near-duplicates divides them" in words


def test_groups_whose_images_look_the_same_stay_in_one_split(frames, tmp_path, capsys):
    lines = frames.read_text().splitlines()
    grouped = [f"{line},video {n // 2}" for n, line in enumerate(lines[1:])]  # of scenes 0 1, 2 3, 4, 0
    frames.write_text("\n".join([lines[0] + ",group", *grouped[:4], grouped[9], *grouped[10:11]]))
    assert run(frames, "-o", tmp_path / "out.csv", "--val", "0.3", "--test", "0.3") == 0
    found = splits(tmp_path / "out.csv")
    assert found[0] == found[1] == found[5] != found[2] == found[3]
    words = capsys.readouterr().err
    assert "note: images of 2 groups look the same as images of other groups, for example" in words
    assert "which leaves 3 of 4 groups" in words


def test_near_duplicates_are_divided_if_the_user_wants_it(frames, tmp_path, capsys):
    assert run(frames, "-o", tmp_path / "out.csv", "--no-near-duplicates") == 0
    assert near_duplicates(tmp_path / "out.csv")
    assert "look the same" not in capsys.readouterr().err


def test_near_duplicates_that_leave_too_few_groups_are_an_error_that_names_the_option(frames, tmp_path, capsys):
    assert run(frames, "-o", tmp_path / "out.csv", "--folds", "6", "--test", "0") == 2
    words = capsys.readouterr().err
    assert "5 group(s), which stay whole; expected at least 6" in words
    assert "Or pass --no-near-duplicates to divide images that look the same" in words
    assert not (tmp_path / "out.csv").exists()


def test_near_duplicates_of_kept_test_rows_are_a_warning(frames, tmp_path, capsys):
    lines = frames.read_text().splitlines()
    frames.write_text("\n".join([*lines[:-1], lines[-1].replace("train", "test")]))
    assert run(frames, "-o", tmp_path / "out.csv", "--keep-test", "--val", "0.2") == 0
    found = splits(tmp_path / "out.csv")
    assert found[19] == "test"
    assert len(set(found[4:19:5])) == 1
    words = capsys.readouterr().err
    assert "warning: 1 of the kept test rows look the same as another row" in words
    assert f"{frames.parent / '19.png'} ({frames}:21)" in words
    assert run(frames, "-o", tmp_path / "cv.csv", "--keep-test", "--folds", "3") == 0


def test_slices_of_volumes_are_not_compared(tmp_path, capsys):
    scene = draw_scene([7, 1], 64, kind="section")
    lines = ["image_name,train_type,mask_name"]
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.stack([scene.image[..., 0]] * 6) + np.uint8(number))
        np.save(tmp_path / f"{number}_mask.npy", np.stack([(scene.instances > 0).astype(np.uint8)] * 6))
        lines.append(f"{number}.npy,train,{number}_mask.npy")
    (tmp_path / "all.csv").write_text("\n".join(lines))
    assert run(tmp_path / "all.csv", "-o", tmp_path / "out.csv") == 0
    assert set(splits(tmp_path / "out.csv")) == {"train", "val", "test"}
    assert "look the same" not in capsys.readouterr().err


def write_instances(manifest):
    """Replace the masks of a data set by instance maps: a square of 16 pixels, and two of 9."""
    labels = np.zeros((30, 40), np.uint16)
    labels[2:6, 2:6], labels[10:13, 2:5], labels[20:23, 20:23] = 1, 2, 3
    for path in (manifest.parent / "masks").iterdir():
        Image.fromarray(labels).save(path)


def test_the_table_has_the_share_of_the_foreground_and_the_objects_of_instance_maps(manifest, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert run(manifest, "-o", manifest.with_name("a.csv"), "--no-near-duplicates") == 0
    words = capsys.readouterr().out
    assert "mean foreground share" in words
    assert "objects per image" not in words
    write_instances(manifest)
    assert run(manifest, "-o", manifest.with_name("b.csv"), "--instances", "--no-near-duplicates") == 0
    words = capsys.readouterr().out
    assert "objects per image" in words
    table = [line.replace("│", " ").split() for line in words.splitlines()]
    assert [line[-4:] for line in table if line[0:1] == ["train"]] == [["2.83%", "0", "3.0", "9"]]


def test_a_file_that_was_replaced_or_left_alone_is_told(manifest, capsys):
    out = manifest.with_name("out.csv")
    for options, word in (((), "written"), ((), "unchanged"), (("--val", "0.3", "--force"), "replaced")):
        assert run(manifest, "-o", out, *options) == 0
        assert capsys.readouterr().out.startswith(f"{word}: {out}\n")
