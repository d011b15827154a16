import dataclasses

import numpy as np
import pytest
import torch

from promise_seg.checkpoint import save_checkpoint
from promise_seg.errors import CheckpointError, ManifestError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample
from promise_seg.model import PromiseModel
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.trust import calibrating
from promise_seg.trust.calibrating import SIGNS, calibrate, draw_rows, ensure_calibrated, recalibrate
from promise_seg.trust.calibration_report import rank_correlation
from promise_seg.trust.signals import Signals
from promise_seg.trust.trust_file import TRUST_FILE
from promise_seg.vocabulary import TrainAlso, Variant
from tests.helpers import make_model, no_numbers
from tests.trust.test_empty_detection import with_a_group_like_no_other

pytestmark = pytest.mark.slow  # each command or training takes a second or more


def test_the_order_of_the_rows_changes_nothing(model, rows, trust):
    other = calibrate(model, rows["train"][::-1], rows["val"][::-1])
    assert torch.equal(other.neighbours.embeddings, trust.neighbours.embeddings)
    assert other.calibration.line.weights == pytest.approx(trust.calibration.line.weights, abs=1e-9)
    assert other.calibration.quality.area_under_risk == pytest.approx(trust.calibration.quality.area_under_risk)


def test_weights_have_the_signs_that_are_known_beforehand(trust):
    assert trust.calibration.line.names == tuple(SIGNS)
    for sign, weight in zip(SIGNS.values(), trust.calibration.line.weights, strict=True):
        assert sign * weight >= 0


def test_quality_is_of_the_validation_rows(trust):
    found = trust.calibration.quality
    assert found.images == 16
    assert (found.nothing_here.images_without_object, found.nothing_here.images_with_object) == (2, 14)
    assert found.nothing_here.false_alarm_rate is not None
    assert len(found.risk_coverage) == 20


def test_two_validation_images_are_too_few_but_enough_for_a_mean(model, rows):
    found = calibrate(model, rows["train"], rows["val"][:2])
    assert not any(found.calibration.line.weights)
    assert found.calibration.quality.rank_correlation is None
    assert 0 <= found.calibration.line.mean <= 1


def test_progress_is_told_of_each_image(model, rows):
    told = []
    calibrate(model, rows["train"], rows["val"], progress=lambda *words: told.append(words))
    assert [done for _, done, _, _ in told] == list(range(1, 25))
    assert {total for _, _, total, _ in told} == {24}


@pytest.mark.slow
def test_training_images_are_taken_from_the_store_but_not_put_there(model, rows, tmp_path):
    store = FeatureStore(tmp_path / "features")
    plain = calibrate(model, rows["train"], rows["val"], store)
    keys = {
        split: [Sample.of(row, model.sam, model.config.fit).key(model.sam) for row in rows[split]] for split in rows
    }
    assert all(key in store for key in keys["val"])
    assert not any(key in store for key in keys["train"])
    for key in keys["train"]:
        store.put(key, store.get(keys["val"][0]))
    fooled = calibrate(model, rows["train"], rows["val"], store)
    assert not torch.equal(fooled.neighbours.embeddings, plain.neighbours.embeddings)


def test_at_most_so_many_training_images_are_drawn_evenly(rows):
    many = [dataclasses.replace(rows["train"][0], image_sha256=f"{number:064x}") for number in range(400)]
    drawn = draw_rows(many, 100)
    assert drawn == draw_rows(many[::-1], 100)
    numbers = np.array([int(row.image_sha256, 16) for row in drawn])
    assert len(set(numbers.tolist())) == 100
    assert 150 < numbers.mean() < 250
    assert len(draw_rows(many)) == 400


@pytest.mark.parametrize("missing", ["train", "val"])
def test_rows_that_are_missing_are_named(model, rows, missing):
    with pytest.raises(ManifestError, match=f"no {missing} rows"):
        calibrate(model, *({**rows, missing: []}[split] for split in ("train", "val")))


def test_a_variant_without_own_masks_is_refused(tiny_sam, rows, tmp_path):
    model = make_model(tiny_sam, Variant.IPS)
    with pytest.raises(SettingsError, match="variant ips has no auto-prompting"):
        calibrate(model, rows["train"], rows["val"])
    save_checkpoint(model, tmp_path / "ips")
    assert ensure_calibrated(tmp_path / "ips", rows["train"] + rows["val"], sam=tiny_sam) is None


def test_an_encoder_that_learns_too(tiny_sam, rows):
    config = make_model(tiny_sam).config.model_copy(update={"train_also": TrainAlso.EVERYTHING})
    torch.manual_seed(0)
    assert calibrate(PromiseModel(config, tiny_sam), rows["train"], rows["val"]).neighbours.embeddings.shape == (8, 16)


@pytest.mark.slow
def test_other_post_processing_needs_no_training_images(model, rows, trust):
    model.config = model.config.model_copy(update={"postprocessing": PostProcessing(threshold=0.3)})
    again = recalibrate(model, trust, rows["val"])
    full = calibrate(model, rows["train"], rows["val"])
    assert again.calibration == full.calibration
    assert again.calibration.model_sha256 != trust.calibration.model_sha256


@pytest.mark.slow
def test_it_is_done_once_for_each_state_of_a_model(tiny_sam, model, rows, tmp_path, monkeypatch):
    calls, real = [], calibrating.calibrate
    monkeypatch.setattr(calibrating, "calibrate", lambda *args: calls.append(1) or real(*args))
    everything = rows["train"] + rows["val"]
    save_checkpoint(model, tmp_path / "best")
    first = ensure_calibrated(tmp_path / "best", everything, sam=tiny_sam)
    assert ensure_calibrated(tmp_path / "best", everything, sam=tiny_sam).sha256() == first.sha256()
    assert len(calls) == 1
    (tmp_path / "best" / TRUST_FILE).write_bytes(b"damaged")
    assert ensure_calibrated(tmp_path / "best", everything, sam=tiny_sam).sha256() == first.sha256()
    assert len(calls) == 2
    torch.nn.init.normal_(model.ips.lin2.weight)
    save_checkpoint(model, tmp_path / "best")
    assert ensure_calibrated(tmp_path / "best", everything, sam=tiny_sam).sha256() != first.sha256()
    assert len(calls) == 3


@pytest.mark.slow
def test_other_rows_are_calibrated_on_anew(tiny_sam, model, rows, tmp_path):
    save_checkpoint(model, tmp_path / "best")
    train, val = rows["train"], rows["val"]
    for some_train, some_val in ((train, val), (train[:-1], val), (train, val[:-1])):
        found = ensure_calibrated(tmp_path / "best", [*some_val, *some_train], sam=tiny_sam)
        assert found is not None
        assert found.sha256() == calibrate(model, some_train, some_val).sha256()


def test_a_model_whose_training_diverged_is_refused(tiny_sam, model, rows, tmp_path):
    no_numbers(model)
    with pytest.raises(SettingsError, match="16 of 16 val images have NaN or infinite masks: training diverged"):
        calibrate(model, rows["train"], rows["val"])
    save_checkpoint(model, tmp_path / "best")
    with pytest.raises(CheckpointError, match=r"parameters hold NaN or infinity .* its training diverged"):
        ensure_calibrated(tmp_path / "best", rows["train"] + rows["val"], sam=tiny_sam)
    assert not (tmp_path / "best" / TRUST_FILE).exists()


def noise(seed, count=12):
    """Examples whose signals say nothing of their Dice, each in a group of its own."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(size=(count, 4))
    signals = [Signals(*of_one, peak=0.9, area_share=0.1) for of_one in drawn.tolist()]
    groups = [f"g{number}" for number in range(count)]
    return calibrating.Examples(signals, rng.uniform(size=count), np.ones(count, bool), groups)


def test_the_quality_of_trust_is_not_that_of_the_rows_it_was_fitted_to(model, rows, trust, monkeypatch):
    """Of noise the fit itself finds something to say; judged without its own group nothing is left of it."""
    fitted, stated = [], []
    for seed in range(6):
        examples = noise(seed)
        monkeypatch.setattr(calibrating, "_examples", lambda *_, found=examples: found)
        calibration = recalibrate(model, trust, rows["val"]).calibration
        values = np.array([one.values(tuple(SIGNS)) for one in examples.signals])
        fitted.append(rank_correlation(calibration.line.at(values), examples.dice) or 0.0)
        stated.append(calibration.quality.rank_correlation or 0.0)
    assert np.mean(fitted) > 0.3
    assert np.mean(stated) < 0.1


def test_the_quality_of_empty_detection_is_not_that_of_the_rows_it_was_fitted_to(model, rows, trust, monkeypatch):
    seen, has_object, groups = with_a_group_like_no_other()
    examples = calibrating.Examples(seen, np.linspace(0, 1, len(seen)), has_object, groups)
    monkeypatch.setattr(calibrating, "_examples", lambda *_: examples)
    calibration = recalibrate(model, trust, rows["val"]).calibration
    assert np.array_equal(calibration.empty_detection.nothing_here(seen), ~has_object)
    assert calibration.quality.nothing_here.false_alarms == groups.count("b")
