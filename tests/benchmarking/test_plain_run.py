"""The baselines without training: what they choose on train rows, and that they are scored as all others."""

import cv2
import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.evaluation import Assessment
from promise_seg.benchmarking.plain_rules import MeanMaskRule, OtsuRule, Side, otsu_mask
from promise_seg.benchmarking.plain_run import PlainRun, fitting_seconds
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError
from promise_seg.images.reading import Reading
from promise_seg.vocabulary import Fit, PromptSource, Protocol, Split
from tests.helpers import disc_image, write_dataset

HOW = Assessment(prompts=PromptSource.NONE)


def rewrite(folder, change):
    """Replace each image and mask of a data set by what ``change`` makes of them and their number."""
    for path in (folder / "images").iterdir():
        mask_path = folder / "masks" / path.name
        image, mask = change(np.asarray(Image.open(path)), np.asarray(Image.open(mask_path)) > 0, int(path.stem))
        Image.fromarray(image).save(path)
        Image.fromarray(mask.astype(np.uint8) * 255).save(mask_path)


@pytest.fixture
def rows_of(tmp_path):
    """A function that returns train and test rows of discs, changed as a test needs them."""

    def rows(change=None, name="data", **reading):
        manifest = write_dataset(tmp_path / name)
        if change is not None:
            rewrite(tmp_path / name, change)
        checked = check_rows(read_manifest(manifest), Reading(**reading))
        return tuple([row for row in checked if row.row.split == split] for split in (Split.TRAIN, Split.TEST))

    return rows


@pytest.fixture
def make(tmp_path, tiny_sam):
    def run(rule, train, name="run"):
        return PlainRun(tmp_path / name, type(rule).__name__, rule, train, tiny_sam, Fit.STRETCH)

    return run


def mean_dice(run, rows, how=HOW):
    return float(np.mean([result.scores.dice for result in run.evaluate(rows, how)]))


def dark(image, mask, number):
    return 255 - image, mask


def dark_every_second(image, mask, number):
    return (255 - image if number % 2 else image), mask


@pytest.mark.parametrize(("change", "side"), [(None, Side.BRIGHT), (dark, Side.DARK), (dark_every_second, Side.FEWER)])
def test_otsu_takes_the_side_on_which_the_objects_of_train_rows_are(make, rows_of, change, side):
    train, test = rows_of(change)
    run = make(OtsuRule(), train)
    run.run()
    assert int(run.fitted["side"]) == side
    assert mean_dice(run, test) > 0.99


def test_the_side_is_chosen_on_train_rows_alone(make, rows_of):
    train, test = rows_of(lambda image, mask, number: (image if number < 8 else 255 - image, mask))
    run = make(OtsuRule(), train)
    run.run()
    assert mean_dice(run, test) < 0.3  # test rows are the other way round


def test_otsus_threshold_is_opencvs(make):
    image, _ = disc_image(3)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    expected = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1] > 0
    assert np.array_equal(otsu_mask(image, is_bright=True), expected)
    assert np.array_equal(otsu_mask(image, is_bright=False), ~expected)


def test_a_border_that_is_cropped_away_has_no_say(make, rows_of):
    def framed(image, mask, number):
        wide = ((30, 30), (40, 40))
        return np.pad(np.maximum(255 - image, 20), (*wide, (0, 0))), np.pad(mask, wide)

    train, test = rows_of(framed, crop_border=True)
    assert train[0].crop is not None
    run = make(OtsuRule(), train)
    run.run()
    assert mean_dice(run, test) > 0.99  # the black border is darker than the dark discs


def quarter(image, mask, number):
    """The object is the upper left quarter, in images of different sizes; in every fourth it is the whole image."""
    height, width = 20 + 6 * number, 50 - 3 * number
    mask = np.zeros((height, width), bool)
    mask[: height // 2, : width // 2] = True
    rng = np.random.default_rng(number)
    return rng.integers(0, 255, (height, width, 3), dtype=np.uint8), mask | (number % 4 == 3)


def test_the_mean_mask_fits_images_of_any_size(make, rows_of):
    train, test = rows_of(quarter)
    assert len({(row.height, row.width) for row in [*train, *test]}) == 8
    run = make(MeanMaskRule(), train)
    run.run()
    assert 1 / 6 < float(run.fitted["threshold"]) < 1  # one train mask of six is full
    assert run.fitted["mean"].shape == (128, 128)
    (result,) = run.evaluate(test[:1], HOW)
    assert result.scores.dice > 0.95
    assert run.rule.mask(test[1], run.fitted).shape == (test[1].height, test[1].width)


def test_the_threshold_of_the_mean_mask_is_the_best_on_train_rows(make, rows_of):
    train, _ = rows_of()
    run = make(MeanMaskRule(), train)
    run.run()
    chosen = mean_dice(run, train)
    for other in (0.1, 0.9):
        run.fitted["threshold"].fill_(other)
        assert mean_dice(run, train) < chosen


def test_pixels_that_are_cropped_away_are_no_part_of_the_mean_mask(make, rows_of):
    def framed(image, mask, number):
        wide = ((10, 10), (10, 10))
        return np.pad(np.maximum(image, 20), (*wide, (0, 0))), np.pad(np.ones_like(mask), wide)

    train, test = rows_of(framed, crop_border=True)
    run = make(MeanMaskRule(), train)
    run.run()
    assert mean_dice(run, test) == 1.0


def test_it_is_fitted_once_and_tells_its_time(make, rows_of, tmp_path, monkeypatch):
    train, test = rows_of()
    told = []
    first = make(OtsuRule(), train)
    first.run(lambda stage, done, total, note="": told.append((stage, done, total)))
    assert told[-1] == ("fitting", 6, 6)
    assert fitting_seconds(tmp_path / "run") > 0
    again = make(OtsuRule(), train)
    monkeypatch.setattr(again.rule, "fit", None)
    again.run()
    assert again.best_sha256() == first.best_sha256()
    assert [vars(r.scores) for r in again.evaluate(test, HOW)] == [vars(r.scores) for r in first.evaluate(test, HOW)]


def test_what_was_chosen_for_other_rows_or_is_damaged_is_refused(make, rows_of, tmp_path):
    train, _ = rows_of()
    make(OtsuRule(), train).run()
    with pytest.raises(CheckpointError, match="other settings or data"):
        make(OtsuRule(), train[:-1])
    with pytest.raises(CheckpointError, match="other settings or data"):
        make(MeanMaskRule(), train)
    (tmp_path / "run/rule.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"rule\.safetensors: cannot be read"):
        make(OtsuRule(), train)
    assert fitting_seconds(tmp_path / "run") == 0


def test_scores_have_all_measures_and_the_published_protocol_has_its_own(make, rows_of):
    train, test = rows_of()
    run = make(OtsuRule(), train)
    run.run()
    assert {"hd95", "s_measure"} <= set(run.evaluate(test, HOW)[0].measures)
    published = Assessment(prompts=PromptSource.NONE, protocol=Protocol.REFERENCE)
    assert mean_dice(run, test, published) > 0.8
