"""A data set of drawn scenes: what is written, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.scenes import draw_scene
from promise_seg.scenes.data_set import draw_data_set

SMALL = {"train": 3, "val": 1, "test": 1, "side": 32}


def written(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_kinds_take_turns_and_each_image_has_its_mask_and_split(tmp_path):
    rows = read_manifest(draw_data_set(tmp_path, **SMALL, kinds=("cells", "mucosa"), seed=5))
    assert [row.split for row in rows] == ["train"] * 3 + ["val", "test"]
    for number, row in enumerate(rows):
        scene = draw_scene([5, number], 32, ("cells", "mucosa")[number % 2])
        assert np.array_equal(Image.open(row.image), scene.image)
        assert np.array_equal(Image.open(row.mask), np.where(scene.instances > 0, 255, 0))


def test_instance_maps_hold_the_numbers_of_the_objects(tmp_path):
    rows = read_manifest(draw_data_set(tmp_path, **SMALL, kinds=("cells",), instances=True))
    for number, row in enumerate(rows):
        assert np.array_equal(Image.open(row.mask), draw_scene([0, number], 32, "cells").instances)


def test_an_interrupted_call_continues_and_ends_with_the_same_files(tmp_path):
    draw_data_set(tmp_path / "whole", **SMALL)

    class Interrupted(Exception):
        pass

    def stop(stage, done, total, note=""):
        if done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        draw_data_set(tmp_path / "resumed", **SMALL, progress=stop)
    assert not (tmp_path / "resumed" / "manifest.csv").exists()
    kept = next((tmp_path / "resumed" / "images").iterdir())
    before = kept.stat().st_mtime_ns
    draw_data_set(tmp_path / "resumed", **SMALL)
    assert kept.stat().st_mtime_ns == before
    assert written(tmp_path / "resumed") == written(tmp_path / "whole")


def test_scenes_of_other_options_never_pass_for_those_asked_for(tmp_path):
    draw_data_set(tmp_path, **SMALL)
    with pytest.raises(PromiseError, match="already exists, with other rows"):
        draw_data_set(tmp_path, **SMALL, seed=1)
    rows = read_manifest(draw_data_set(tmp_path, **SMALL, seed=1, force=True))
    assert np.array_equal(Image.open(rows[0].image), draw_scene([1, 0], 32, "lesion").image)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"train": -1}, "--train -1: expected at least 0"), ({"train": 0, "val": 0, "test": 0}, "nothing to draw"),
     ({"side": 8}, "--side 8: expected at least 32"), ({"seed": -1}, "--seed -1"),
     ({"side": 10**6}, "--side 1000000: expected at most 8192"),
     ({"train": 10**12}, "1,000,000,000,002 images together; expected at most 1,000,000"),
     ({"kinds": ("polyp",)}, "--kinds polyp: expected one or more of layers, lesion"), ({"kinds": ()}, "--kinds")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        draw_data_set(tmp_path / "new", **SMALL | options)
    assert not (tmp_path / "new").exists()


def test_the_command_writes_the_same_and_names_the_manifest(tmp_path, capsys):
    numbers = ["--train", "3", "--val", "1", "--test", "1", "--side", "32", "--seed", "2"]
    words = ["data", "draw", *numbers, "--kinds", "lesion, cells"]
    assert main([*words, "-o", str(tmp_path / "command")]) == 0
    assert f"written: {tmp_path / 'command' / 'manifest.csv'}" in capsys.readouterr().out
    draw_data_set(tmp_path / "function", **SMALL, kinds=("lesion", "cells"), seed=2)
    assert written(tmp_path / "command") == written(tmp_path / "function")
    assert main([*words, "--kinds", "polyps", "-o", str(tmp_path / "other")]) == 2
    assert "--kinds polyps: expected one or more of" in capsys.readouterr().err


def test_scenes_of_a_call_that_was_stopped_are_not_mixed_with_others(tmp_path):
    """Both sets once lay in one folder, which a folder of images to predict was then made of."""
    draw_data_set(tmp_path, **SMALL)
    (tmp_path / "manifest.csv").unlink()  # it is written last
    with pytest.raises(PromiseError, match=r"images/\S*_32px_seed0_\d+\.png: is a scene that was drawn with other"):
        draw_data_set(tmp_path, **SMALL, seed=1)
    (tmp_path / "images/of_the_user.png").write_bytes(b"")
    draw_data_set(tmp_path, **SMALL)
    draw_data_set(tmp_path, **SMALL, seed=1, force=True)


def test_a_folder_below_a_file_is_refused_before_anything_is_drawn(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["data", "draw", "-o", str(tmp_path / "file/set"), "--train", "2"]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"{tmp_path / 'file/set'}: cannot write: {tmp_path / 'file'} is a file; expected a folder" in error
    assert "drawing" not in error
