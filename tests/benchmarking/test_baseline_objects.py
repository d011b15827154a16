"""Separate objects of baselines: they are told apart where they touch, by what train or val rows decide."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.evaluation import Assessment
from promise_seg.benchmarking.baseline_objects import Foreground, ObjectRule, choose_object_rule, objects_of
from promise_seg.benchmarking.plain_rules import MeanMaskRule, OtsuRule
from promise_seg.benchmarking.plain_run import PlainRun
from promise_seg.benchmarking.unet import UnetRun, UnetSettings
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError
from promise_seg.images.reading import Reading
from promise_seg.prompting.separating import depths
from promise_seg.vocabulary import Fit, MaskKind, PromptSource, Split

HOW = Assessment(prompts=PromptSource.NONE)


def two_that_touch(number):
    """A dumb-bell of two discs with a speck beside it, moved with the number: the image, and its instance map."""
    rows, columns = np.mgrid[:48, :64]
    labels = np.zeros((48, 64), np.uint8)
    labels[(rows - 24) ** 2 + (columns - 20 - number % 3) ** 2 <= 121] = 7
    labels[((rows - 24) ** 2 + (columns - 40 - number % 3) ** 2 <= 121) & (labels == 0)] = 3
    image = np.where(labels > 0, 200, 30).astype(np.uint8)
    image[3:5, 3 + number : 5 + number] = 200
    return np.repeat(image[..., None], 3, axis=2), labels


@pytest.fixture
def rows(tmp_path):
    """Train, val and test rows with instance maps."""
    lines = ["image_name,train_type,mask_name"]
    for number, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        image, labels = two_that_touch(number)
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / f"{number}_mask.png")
        lines.append(f"{number}.png,{split},{number}_mask.png")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    checked = check_rows(read_manifest(tmp_path / "manifest.csv"), Reading(masks=MaskKind.INSTANCES))
    return tuple([row for row in checked if row.row.split == split] for split in Split)


def test_objects_that_touch_are_told_apart_and_specks_left_out():
    image, labels = two_that_touch(0)
    mask = image[..., 0] > 100
    found = Foreground(mask, depths(mask))
    assert objects_of(found, ObjectRule(prominence=0.1)).max() == 3
    assert objects_of(found, ObjectRule(prominence=1.0)).max() == 2  # none rises so far above the pass
    whole = objects_of(found, ObjectRule(prominence=0.1, least_area=20))
    assert set(np.unique(whole)) == {0, 1, 2}
    for number in (3, 7):
        own = np.bincount(whole[labels == number]).argmax()
        assert np.mean(whole[labels == number] == own) > 0.9


def test_the_rule_is_the_one_with_the_best_f1_of_the_rows(rows):
    train, _, _ = rows

    def foreground(row):
        mask = row.image()[..., 0] > 100
        return Foreground(mask, depths(mask))

    rule = choose_object_rule(train, foreground)
    assert rule.least_area > 4  # the specks are no objects
    assert all(objects_of(foreground(row), rule).max() == 2 for row in train)


def test_nothing_found_is_no_object():
    empty = Foreground(np.zeros((5, 6), bool), np.zeros((5, 6), np.float32))
    assert not objects_of(empty, ObjectRule(0.1)).any()


def test_otsus_objects_are_scored_as_told_apart_and_kept(rows, tmp_path, tiny_sam):
    train, _, test = rows
    run = PlainRun(tmp_path / "run", "otsu", OtsuRule(), train, tiny_sam, Fit.STRETCH)
    run.run()
    again = PlainRun(tmp_path / "run", "otsu", OtsuRule(), train, tiny_sam, Fit.STRETCH)
    assert again.finished
    for result in again.evaluate(test, HOW):
        assert result.measures["object_f1_50"] == 1
        assert result.measures["count_error"] == 0


def test_the_mean_mask_tells_nothing_apart(rows, tmp_path, tiny_sam):
    train, _, test = rows
    run = PlainRun(tmp_path / "run", "mean-mask", MeanMaskRule(), train, tiny_sam, Fit.STRETCH)
    run.run()
    assert all(result.measures["count_error"] > 0 for result in run.evaluate(test, HOW))


@pytest.fixture
def unet_of(tmp_path, tiny_sam):
    def make(train, val, **settings):
        return UnetRun(tmp_path / "unet", train, val, tiny_sam, UnetSettings(**{"seed": 0, "epochs": 1} | settings))

    return make


@pytest.mark.parametrize("settings", [{}, {"side": 32}])
def test_a_unet_learns_from_instance_maps_and_is_scored_on_objects(rows, unet_of, settings):
    train, val, test = rows
    run = unet_of(train, val, **settings)
    run.run()
    for result in run.evaluate(test, HOW):
        assert 0 <= result.measures["object_f1_50"] <= 1
    with pytest.raises(CheckpointError, match="other settings or data"):
        unet_of(train, val, epochs=2, **settings)


@pytest.mark.slow
def test_a_unet_that_has_learned_tells_objects_apart_that_touch(rows, unet_of):
    train, val, test = rows
    run = unet_of(train * 4, val, side=64, epochs=8)
    run.run()
    found = run.evaluate(test, HOW)
    assert np.mean([result.measures["object_f1_50"] for result in found]) > 0.8
