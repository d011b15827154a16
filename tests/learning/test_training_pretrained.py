"""Training with the APM that looks at the image itself, a shift for given prompts, and a learned choice of the mask."""

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.checkpoint import load_checkpoint, read_config, read_weights
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.geometry import shrink_mask
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.learning import epoch_steps, measuring_best
from promise_seg.learning.answering import ANSWERS_FILE
from promise_seg.learning.run_log import read_log
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_set import Draw
from promise_seg.prediction.predictor import Predictor
from promise_seg.prompting.apm import IMAGE
from promise_seg.reporting.run_files import read_run
from promise_seg.vocabulary import GivenPrompts, MaskChoice, PromptForm, Variant
from tests.helpers import first_settings, make_tiny_sam, write_dataset

SMALL = {"epochs": 2, "batch_size": 3, "views": 2}


def start(folder, rows, store, accelerator, **values) -> TrainingRun:
    if "variant" not in values:
        values = {"apm": "pretrained", "apm_side": 32} | values
    return TrainingRun(folder, rows, make_tiny_sam(), store, make_settings(**SMALL | values), accelerator)


def results(folder):
    names = ("best/config.json", "best/model.safetensors", "last/model.safetensors", ANSWERS_FILE)
    return {name: (folder / name).read_bytes() for name in names}


@torch.no_grad()
def proposed(model, row):
    """What a model proposes for the image of a row."""
    sample = Sample.of(row, model.sam, model.config.fit)
    return model.eval().propose(model_features([sample], model, None))


def saliency_dice(model, rows) -> float:
    """The mean Dice of the saliency on the rows, as the map has it."""
    found = []
    for row in rows:
        saliency = proposed(model, row).saliency_logits[0] > 0
        mask = torch.from_numpy(Sample.of(row, model.sam, model.config.fit).mask())[None]
        truth = shrink_mask(mask, len(saliency))[0] > 0.5
        found.append(2 * float((saliency & truth).sum()) / float(saliency.sum() + truth.sum()))
    return float(np.mean(found))


@pytest.fixture
def with_empty_rows(tmp_path):
    """A data set in which every second image holds nothing, and is dark, so that this can be learned."""
    manifest = write_dataset(tmp_path / "data", ("train",) * 12 + ("val",) * 4)
    for number, row in enumerate(read_manifest(manifest)):
        if number % 2:
            size = Image.open(row.mask).size
            Image.new("L", size).save(row.mask)
            Image.new("RGB", size, (number, 0, 0)).save(row.image)
    return check_rows(read_manifest(manifest))


@pytest.mark.slow
def test_a_run_that_goes_on_ends_where_an_unbroken_one_ends(checked, store, accelerator, tmp_path):
    start(tmp_path / "whole", checked, store, accelerator).run()
    first = start(tmp_path / "parts", checked, store, accelerator)
    first.encode()

    class Stopped(Exception):
        pass

    def stop(stage, done, total, _=""):
        if stage == "training" and done > total // 2:
            raise Stopped

    with pytest.raises(Stopped):
        first.run(stop)
    resumed = start(tmp_path / "parts", checked, store, accelerator)
    assert resumed.epoch == 1
    resumed.run()
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_killed_before_its_answers_are_kept_measures_them_when_it_goes_on(
    checked, store, accelerator, tmp_path, monkeypatch
):
    start(tmp_path / "whole", checked, store, accelerator).run()
    for name in ("measure_answers", "write_answers", "presence_threshold", "measure_second_pass"):
        with monkeypatch.context() as patch:
            patch.setattr(measuring_best, name, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                start(tmp_path / name, checked, store, accelerator).run()
        assert not read_config(tmp_path / name / "best").given
        start(tmp_path / name, checked, store, accelerator).run()
        assert results(tmp_path / name) == results(tmp_path / "whole")


@pytest.mark.slow
def test_the_model_says_how_it_answers_and_what_it_learned(checked, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, store, accelerator)
    config = run.run().config
    assert set(config.given) == set(PromptForm)
    assert [one.form for one in run.answers] == list(PromptForm)
    assert (config.has_given_shift, config.learns_quality) == (True, True)
    assert config.apm.side == 32
    assert config.presence_threshold is None
    names = {name.split(".")[0] for name in read_weights(tmp_path / "run/best")}
    assert names == {"apm", "ips", "ips_given", "quality"}
    assert "something in every image" in run.notes[0]


@pytest.mark.slow
def test_the_objective_falls_and_the_saliency_nears_the_truth(checked, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, store, accelerator, epochs=12, views=1, learning_rate=2e-3)
    before = saliency_dice(run.model, checked)
    log = [run.train_epoch()]
    for epoch in range(1, 12):
        run.epoch = epoch
        log.append(run.train_epoch())
    for name in ("saliency", "distance", "mask"):
        assert np.mean([one[name] for one in log[-3:]]) < np.mean([one[name] for one in log[:3]]), name
    assert saliency_dice(run.model, checked) > max(before + 0.1, 0.8)


@pytest.mark.slow
def test_presence_is_learned_where_images_without_an_object_are(with_empty_rows, store, accelerator, tmp_path):
    run = start(tmp_path / "run", with_empty_rows, store, accelerator, epochs=6, learning_rate=1e-3)
    assert run.notes == ()
    model = run.run()
    assert model.config.apm.learns_presence
    assert model.config.presence_threshold is not None
    learned = np.array([float(proposed(run.model, row).presence_logits.sigmoid()) for row in with_empty_rows])
    has_object = np.array([row.foreground_pixels > 0 for row in with_empty_rows])
    assert learned[has_object].mean() > learned[~has_object].mean() + 0.2
    model.config = model.config.model_copy(update={"presence_threshold": 0.5})  # where so short a training gains little
    with torch.no_grad():
        model.apm.decoder.presence.bias.sub_(1000)  # now it is sure that there is nothing
    predictor, image = Predictor(model), with_empty_rows[0].image()
    nothing = predictor.predict(image)
    assert not nothing.mask.any()
    assert nothing.mask_probs.max() < 1e-6
    model.always_segments = True
    assert predictor.predict(image).mask_probs.max() > 1e-6


@pytest.mark.slow
def test_a_frozen_backbone_is_looked_with_once_and_not_kept(checked, store, accelerator, tmp_path, monkeypatch):
    run = start(tmp_path / "run", checked, store, accelerator, apm_frozen=True)
    run.encode()
    run.train_epoch()
    before = len(list(store.folder.rglob("*.safetensors")))
    run.epoch = 1
    run.train_epoch()
    seen_again = start(tmp_path / "again", checked, store, accelerator, apm_frozen=True)
    monkeypatch.setattr(seen_again.model.apm, "frozen_maps", lambda *_: pytest.fail("it looked again"))
    seen_again.train_epoch()
    run.run()
    assert len(list(store.folder.rglob("*.safetensors"))) >= before
    assert not any("backbone" in name for name in read_weights(tmp_path / "run/best"))
    loaded = load_checkpoint(tmp_path / "run/best", make_tiny_sam())
    image = checked[0].image()
    assert np.isfinite(Predictor(loaded).predict(image).mask_probs).all()


def test_ips_alone_learns_from_all_that_people_give(checked, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, store, accelerator, variant="ips")
    model = run.run()
    assert model.ips_given is None
    assert set(model.config.given) == set(PromptForm)


def test_what_came_later_is_new_runs_alone():
    plain, new = first_settings(), make_settings()
    assert (plain.shifts, plain.given_prompts, plain.learns_quality) == (1, GivenPrompts.POINTS, False)
    assert (new.shifts, new.given_prompts, new.learns_quality) == (2, GivenPrompts.ALL, True)
    assert (plain.scores_volumes, new.scores_volumes, make_settings(protocol="reference").scores_volumes) == (
        False, True, False,
    )  # fmt: skip
    assert make_settings(plain) == plain
    assert make_settings(protocol="reference").shifts == 1
    assert make_settings(apm="pretrained").epochs == 20
    assert make_settings(apm="pretrained", epochs=3).epochs == 3
    assert make_settings(apm="pretrained", variant=Variant.IPS).epochs == first_settings().epochs


def test_a_run_that_was_begun_before_fine_maps_goes_on_without_them():
    new = make_settings(apm="pretrained")
    assert (new.decoder_interval, new.own_sets, new.val_interval, new.mixes_views) == (2, 2, 1, True)
    assert new.apm_options == {"map_stride": 2, "map_norm": "none", "start": "scenes", "looks": 2}
    assert make_settings(apm="pretrained", epochs=60).val_interval == 3
    old = first_settings(apm="pretrained", epochs=20, batch_size=8, edge_weight=2.0)
    again = make_settings(old, apm="pretrained", epochs=60)
    assert (again.decoder_interval, again.own_sets, again.val_interval, again.apm_options) == (1, 4, 1, {})
    assert not again.mixes_views
    assert make_settings(new, apm="pretrained") == new
    assert make_settings(apm="pretrained", apm_map_stride=4).apm_options["map_stride"] == 4


def test_only_new_runs_whose_views_are_mirrored_predict_with_mirror_images():
    before = make_settings(apm="pretrained", apm_looks=1)
    begun = before.model_copy(update={"apm_options": {"map_stride": 2}})
    assert make_settings(begun, apm="pretrained") == begun
    # The model that it started from now has the option, too.
    assert make_settings(begun, apm="pretrained", apm_options={"map_stride": 2, "looks": 1}) == begun
    assert make_settings(begun, apm="pretrained", apm_looks=2).apm_options["looks"] == 2
    assert "looks" not in make_settings(apm="pretrained", augmentation="none").apm_options
    assert "looks" not in make_settings(apm="pretrained", augmentation="grey").apm_options
    assert make_settings(apm="pretrained", augmentation="light").apm_options["looks"] == 2


def test_the_decoder_learns_in_some_steps_and_the_maps_in_all(checked, store, accelerator, tmp_path, monkeypatch):
    run = start(tmp_path / "run", checked, store, accelerator, batch_size=2, views=1)
    assert run.settings.decoder_interval == 2
    asked, steps = [], []
    losses = epoch_steps.training_losses
    decode = run.model.sam.decode
    monkeypatch.setattr(run.model.sam, "decode", lambda *args: asked.append(len(steps)) or decode(*args))

    def noted(*args):
        steps.append(set(losses(*args)))
        return losses(*args)

    monkeypatch.setattr(epoch_steps, "training_losses", noted)
    found = run.train_epoch()
    maps = {"saliency", "distance"}
    assert steps == [maps | {"mask", "quality"} if number % 2 == 0 else maps for number in range(len(steps))]
    assert len(steps) >= 2
    assert set(asked) == set(range(0, len(steps), 2))
    assert set(found) == maps | {"mask", "quality", "learning_rate"}


@pytest.mark.slow
def test_val_rows_are_scored_after_some_epochs_and_the_last(checked, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, store, accelerator, epochs=5, views=1, val_interval=2)
    run.run()
    assert ["val_dice" in line for line in read_log(tmp_path / "run/log.jsonl")] == [False, True, False, True, True]
    assert read_run(tmp_path / "run").log[0].val_dice is None
    assert run.best["epoch"] in (1, 3, 4)


def test_maps_are_learned_at_their_own_resolution(checked, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, store, accelerator, apm_side=96)
    item = run.training_set[Draw(0, 0, (1,))]
    mask = torch.from_numpy(run.training_set.samples(1)[0].mask())[None].float()
    assert run.model.apm.map_side == 48 > run.model.sam.mask_side
    assert torch.equal(item.map_target, shrink_mask(mask, 48))
    assert item.inner_distance.shape == (1, 48, 48)
    assert item.target.shape == (1, run.model.sam.mask_side, run.model.sam.mask_side)


def test_maps_alone_are_learned_from_views_that_were_never_seen(checked, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, store, accelerator, batch_size=2, views=1)
    draws = list(run.draws)
    assert [draw.for_maps for draw in draws[:5]] == [False, False, True, True, False]
    first, second = (run.training_set[Draw(0, 0, (0, epoch, 0), for_maps=True)] for epoch in range(2))
    assert set(first.features) == set(second.features) == {IMAGE}
    assert not torch.equal(first.features[IMAGE], second.features[IMAGE])
    frozen = start(tmp_path / "frozen", checked, store, accelerator, apm_frozen=True)
    assert "embedding" in frozen.training_set[draws[2]].features


def test_a_learned_choice_takes_the_mask_of_the_highest_quality(checked, store, accelerator, tmp_path):
    model = start(tmp_path / "run", checked, store, accelerator).model.eval()
    torch.nn.init.normal_(model.quality.lin2.weight, std=3.0)
    predictor = Predictor(model)
    image = predictor.encode(checked[0].image())
    prediction = predictor.predict(image, box_xyxy=[3, 3, 20, 20], mask_choice=MaskChoice.LEARNED)
    masks = [predictor.predict(image, box_xyxy=[3, 3, 20, 20], mask_choice=str(n)) for n in range(3)]
    chosen = int(prediction.candidates.predicted_iou.argmax())
    assert prediction.predicted_iou == pytest.approx(float(prediction.candidates.predicted_iou[chosen]))
    assert np.array_equal(prediction.mask_probs, masks[chosen].mask_probs)
