"""The promises of a training run: exact resumption, the same bytes from the same seed, nothing encoded twice."""

import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from promise_seg.checkpoint import load_checkpoint
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import CheckpointError, ManifestError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import shrink_mask
from promise_seg.images.reading import make_reading
from promise_seg.inference.encoding import Sample, features_of
from promise_seg.learning.run_note import SETTINGS_FILE, DataOrigin, read_note
from promise_seg.learning.settings import TrainSettings, make_settings
from promise_seg.learning.training import LOG_FILE, STATE_FILE, TrainingRun, training_losses
from promise_seg.learning.training_images import TrainingImages, read_training_images
from promise_seg.learning.training_set import Draw, EpochDraws, collate
from promise_seg.learning.validation import Validated
from promise_seg.model import ModelOutput
from promise_seg.sam.backbone import Decoded, weights_sha256
from promise_seg.vocabulary import ApmKind, MaskChoice, PositionCode, Protocol, Recipe, Split, TrainAlso, Variant
from tests.files import write_nifti
from tests.helpers import make_tiny_sam

EPOCHS = 3


def start(folder, checked, sam, store, accelerator, **values) -> TrainingRun:
    settings = TrainSettings(**{"epochs": EPOCHS, "batch_size": 2, "views": 2, "learning_rate": 1e-3} | values)
    return TrainingRun(folder, checked, sam, store, settings, accelerator)


def results(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.name in {"config.json", "model.safetensors"}]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def log(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]


@torch.no_grad()
def objective(run: TrainingRun) -> float:
    """What training minimises, on all rows at once and always on the same draws of views and oracle points."""
    batch = collate([run.training_set[Draw(row, 0, (row,))] for row in range(len(run.training_set))])
    run.model.train()
    output = run.model(batch.inputs, *([batch.oracle] if run.settings.learns_from_oracle else []))
    return sum(float(v) for v in training_losses(output, batch, run.settings, run.model.sam.image_size).values())


@pytest.mark.parametrize(
    ("variant", "apm"),
    [
        (Variant.APM, ApmKind.HEATMAP),
        (Variant.IPS, ApmKind.HEATMAP),
        (Variant.APM_IPS, ApmKind.HEATMAP),
        pytest.param(Variant.APM, ApmKind.RESNET, marks=pytest.mark.slow),
        pytest.param(Variant.APM_IPS, ApmKind.RESNET, marks=pytest.mark.slow),
    ],
)
def test_a_run_learns(variant, apm, checked, store, accelerator, tmp_path):
    """Whole batches: with two of six rows at a time the resnet's batch norms make the objective jump about."""
    sam = make_tiny_sam()
    run = start(tmp_path / "run", checked, sam, store, accelerator, variant=variant, apm=apm,
                epochs=20, batch_size=6, views=1, learning_rate=3e-3)  # fmt: skip
    before = objective(run)
    run.run()
    assert objective(run) < before - 0.01
    assert weights_sha256(sam.model) == sam.sha256


def test_a_run_leaves_its_files(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "run", checked, tiny_sam, store, accelerator).run()
    assert [line["epoch"] for line in log(tmp_path / "run")] == [1, 2, 3]
    assert len(results(tmp_path / "run")) == 4
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_all_that_a_run_writes_can_be_read_by_whom_the_umask_lets(checked, tiny_sam, store, accelerator, tmp_path):
    before = os.umask(0o022)
    try:
        start(tmp_path / "run", checked, tiny_sam, store, accelerator, epochs=1).run()
    finally:
        os.umask(before)
    written = [path for folder in (tmp_path / "run", store.folder) for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".safetensors", ".json", ".jsonl", ".png"}
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in written} == {"0o644"}


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(checked, tiny_sam, store, accelerator, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        start(tmp_path / name, checked, tiny_sam, store, accelerator, seed=seed).run()
    assert results(tmp_path / "a") == results(tmp_path / "b")
    assert results(tmp_path / "a") != results(tmp_path / "c")


class Killed(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 4, 5, 8])
def test_a_run_killed_at_any_step_ends_where_an_unbroken_one_ends(
    steps, checked, tiny_sam, store, accelerator, tmp_path
):
    start(tmp_path / "whole", checked, tiny_sam, store, accelerator).run()

    def kill(_stage, done, *_):
        if done == steps:
            raise Killed

    with pytest.raises(Killed):
        start(tmp_path / "broken", checked, tiny_sam, store, accelerator).run(kill)
    start(tmp_path / "broken", checked, tiny_sam, store, accelerator).run()
    assert results(tmp_path / "broken") == results(tmp_path / "whole")
    assert log(tmp_path / "broken") == log(tmp_path / "whole")


@pytest.mark.parametrize("victim", ["save_checkpoint", "write_text", "save_training_state"])
def test_a_run_killed_while_it_writes_too(victim, checked, tiny_sam, store, accelerator, tmp_path, monkeypatch):
    from promise_seg.learning import training

    start(tmp_path / "whole", checked, tiny_sam, store, accelerator).run()
    real, calls = getattr(training, victim), []

    def write_then_die(*args):
        real(*args)
        calls.append(args)
        if len(calls) == 2:
            raise Killed

    monkeypatch.setattr(training, victim, write_then_die)
    with pytest.raises(Killed):
        start(tmp_path / "broken", checked, tiny_sam, store, accelerator).run()
    monkeypatch.setattr(training, victim, real)
    start(tmp_path / "broken", checked, tiny_sam, store, accelerator).run()
    assert results(tmp_path / "broken") == results(tmp_path / "whole")
    assert log(tmp_path / "broken") == log(tmp_path / "whole")


def test_a_second_run_on_the_same_images_encodes_nothing(checked, tiny_sam, store, accelerator, tmp_path):
    first = start(tmp_path / "a", checked, tiny_sam, store, accelerator)
    assert first.encode() == 6 * 2 + 2
    second = start(tmp_path / "b", checked, tiny_sam, store, accelerator, variant="ips", seed=5)
    assert second.encode() == 0


def test_features_from_the_store_give_the_same_loss_as_fresh_ones(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "a", checked, tiny_sam, store, accelerator)
    row, view = 1, 1
    draw = Draw(row, view, (0,))
    sample = run.training_set.samples(2)[view * len(run.training_set) + row]
    assert sample.key(tiny_sam) not in store
    _ = run.training_set[draw]  # encoded, and put into the store
    assert sample.key(tiny_sam) in store
    stored = run.training_set[draw]
    fresh = features_of([sample], tiny_sam, None)
    fresh_batch = stored._replace(features=dict(fresh.tensors))

    def total(batch):
        output = run.model(batch.inputs, batch.oracle)
        return sum(training_losses(output, batch, run.settings, tiny_sam.image_size).values())

    assert torch.equal(total(stored), total(fresh_batch))


def test_test_rows_are_never_read(checked, tiny_sam, store, accelerator, tmp_path):
    for row in checked:
        if row.row.split == Split.TEST:
            row.row.image.unlink()
            row.row.mask.unlink()
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()


@pytest.mark.parametrize(("values", "named"), [({"seed": 3}, "seed"), ({"weight_decay": 0.5}, "weight_decay")])
def test_a_folder_of_another_run_is_refused(checked, tiny_sam, store, accelerator, tmp_path, values, named):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()
    with pytest.raises(CheckpointError, match=f"another {named}"):
        start(tmp_path / "a", checked, tiny_sam, store, accelerator, **values)


def test_a_folder_of_other_data_or_of_another_sam_is_refused(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()
    with pytest.raises(CheckpointError, match="another data"):
        start(tmp_path / "a", checked[1:], tiny_sam, store, accelerator)
    with pytest.raises(CheckpointError, match="another sam"):
        start(tmp_path / "a", checked, make_tiny_sam(4), store, accelerator)


def test_a_finished_run_is_left_alone(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator).run()
    before = (tmp_path / "a" / STATE_FILE).stat().st_mtime_ns
    run = start(tmp_path / "a", checked, tiny_sam, FeatureStore(tmp_path / "none"), accelerator)
    assert run.finished
    run.run()
    assert (tmp_path / "a" / STATE_FILE).stat().st_mtime_ns == before


@pytest.mark.parametrize("level", [TrainAlso.NONE, TrainAlso.DECODER])
def test_a_run_returns_its_best_model_not_its_last(level, checked, images, store, accelerator, tmp_path, monkeypatch):
    from promise_seg.learning import training

    sam = make_tiny_sam()
    score, first = MaskChoice.SCORE, MaskChoice.FIRST
    dice = iter([Validated(0.5, score), Validated(0.9, first), Validated(0.1, score)])
    monkeypatch.setattr(training, "validate", lambda *_: next(dice))
    run = start(tmp_path / "a", checked, sam, store, accelerator, variant="apm+ips", train_also=level)
    returned = run.run()
    best, last = (load_file(tmp_path / "a" / name / "model.safetensors") for name in ("best", "last"))
    again = start(tmp_path / "a", checked, sam, store, accelerator, variant="apm+ips", train_also=level).run()
    expected = load_checkpoint(tmp_path / "a", sam)
    for model in (returned, again):
        state = model.trainable_state()
        assert state.keys() == best.keys()
        assert all(torch.equal(state[name], best[name]) for name in best)
        assert not all(torch.equal(state[name], last[name]) for name in best)
        assert model.config.mask_choice == MaskChoice.FIRST
        assert not model.training
        features = model.encode(images)
        own, wanted = (m.decode(features, m.propose(features)) for m in (model, expected))
        assert torch.equal(own.mask_logits, wanted.mask_logits)
        assert torch.equal(own.iou, wanted.iou)
    assert all(torch.equal(value, last[name]) for name, value in run.model.trainable_state().items())


def test_a_finished_run_whose_best_model_is_gone_says_so(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "a", checked, tiny_sam, store, accelerator, epochs=1).run()
    shutil.rmtree(tmp_path / "a" / "best")
    with pytest.raises(CheckpointError, match="best: no checkpoint there"):
        start(tmp_path / "a", checked, tiny_sam, store, accelerator, epochs=1).run()


def test_rows_of_both_kinds_are_needed(checked, tiny_sam, store, accelerator, tmp_path):
    train_only = [r for r in checked if r.row.split == Split.TRAIN]
    with pytest.raises(ManifestError, match="no val rows"):
        start(tmp_path / "a", train_only, tiny_sam, store, accelerator)


def test_an_epoch_draws_each_row_once_and_in_its_own_order():
    draws = EpochDraws(20, 4, seed=1)
    first = list(draws)
    assert sorted(d.row for d in first) == list(range(20))
    assert {d.view for d in first} == {0, 1, 2, 3}
    assert list(draws) == first
    draws.epoch = 1
    assert list(draws) != first


# Freeze levels and the reference's protocol


@pytest.mark.parametrize("level", list(TrainAlso))
def test_a_run_trains_what_was_asked_for_and_saves_just_that(level, checked, store, accelerator, tmp_path):
    sam = make_tiny_sam()
    run = start(tmp_path / "run", checked, sam, store, accelerator, variant="ips", train_also=level)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.encode()
    run.run()
    moved = {name for name, p in run.model.named_parameters() if not torch.equal(p, before[name])}
    assert {name.split(".")[2] for name in moved if name.startswith("sam.")} == set(level.parts)
    assert weights_sha256(sam.model) == sam.sha256
    saved = load_file(tmp_path / "run/last/model.safetensors")
    assert saved.keys() == run.model.trainable_state().keys()
    assert moved <= saved.keys()
    assert any(store.folder.rglob("*.safetensors")) == (level != TrainAlso.EVERYTHING)
    again = load_checkpoint(tmp_path / "run/last", sam)
    assert all(torch.equal(v, saved[name]) for name, v in again.trainable_state().items())


@pytest.mark.parametrize("level", [TrainAlso.DECODER, TrainAlso.EVERYTHING])
def test_such_a_run_resumes_exactly_too(level, checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "whole", checked, tiny_sam, store, accelerator, train_also=level).run()

    def kill(_stage, done, *_):
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        start(tmp_path / "broken", checked, tiny_sam, store, accelerator, train_also=level).run(kill)
    start(tmp_path / "broken", checked, tiny_sam, store, accelerator, train_also=level).run()
    assert results(tmp_path / "broken") == results(tmp_path / "whole")


def test_the_reference_s_protocol_as_settings():
    settings = make_settings(protocol=Protocol.REFERENCE, variant="apm+ips")
    assert (settings.optimizer, settings.learning_rate, settings.batch_size, settings.epochs) == ("adam", 1e-5, 8, 200)
    assert (settings.apm, settings.learns_from_oracle) == (ApmKind.RESNET, False)
    assert settings.augmentation == Recipe.REFERENCE
    assert make_settings(protocol=Protocol.REFERENCE, epochs=3).epochs == 3
    assert make_settings(protocol=Protocol.REFERENCE, apm="cross").apm_config.position_code == PositionCode.REFERENCE
    assert make_settings(apm="cross").apm_config.position_code == PositionCode.GEOMETRIC
    assert make_settings(variant="ips", protocol=Protocol.REFERENCE, apm="cross").apm_config is None


def test_the_reference_s_protocol_in_a_run(checked, tiny_sam, store, accelerator, tmp_path):
    preset = make_settings(protocol="reference", epochs=2, batch_size=2).model_dump()
    TrainingRun(tmp_path / "run", checked, tiny_sam, store, TrainSettings(**preset), accelerator).run()
    lines = log(tmp_path / "run")
    assert {line["learning_rate"] for line in lines} == {1e-5}
    assert {line["mask_choice"] for line in lines} == {"0"}
    assert "point" not in lines[0]
    assert "saliency" not in lines[0]
    assert len(json.loads((tmp_path / "run/settings.json").read_text())["protocol_deviations"]) > 5


def test_the_second_sigmoid_hides_most_of_the_loss(checked, tiny_sam, store, accelerator, tmp_path):
    """With 5 % of the image covered, a perfect mask and an empty one differ by 4 % in loss; without it by all of it."""
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, variant="ips", protocol="reference")
    target = torch.zeros(1, 32, 32)
    target[0, 4:8, 10:23] = 1
    assert target.mean() == pytest.approx(0.05, abs=0.001)
    batch = collate([run.training_set[Draw(0, 0, (0,))]])._replace(target=target, oracle_target=target)
    perfect = torch.where(target > 0, 20.0, -20.0)[:, None, None].repeat(1, 1, 3, 1, 1)

    def loss(mask_logits):
        output = ModelOutput(None, (Decoded(mask_logits, torch.zeros(1, 1, 3)),), None)
        return float(training_losses(output, batch, run.settings, 32)["mask"])

    empty = torch.full_like(perfect, -20.0)
    assert 1 - loss(perfect) / loss(empty) == pytest.approx(0.04, abs=0.005)
    without = run.settings.model_copy(update={"protocol": Protocol.OWN})
    plain = training_losses(ModelOutput(None, (Decoded(perfect, torch.zeros(1, 1, 3)),), None), batch, without, 32)
    assert float(plain["mask"]) == pytest.approx(0, abs=1e-3)
    other_masks = torch.cat([perfect[:, :, :1], empty[:, :, 1:]], 2)
    assert loss(other_masks) == pytest.approx(loss(perfect), abs=1e-6)  # the first mask alone counts


def test_with_no_fixed_views_each_epoch_sees_new_ones_and_stores_none(checked, tiny_sam, store, accelerator, tmp_path):
    draws = EpochDraws(4, 0, seed=1)
    seen = []
    for draws.epoch in range(5):
        seen += [{draw.view for draw in draws}]
    assert seen == [{1}, {2}, {3}, {4}, {5}]
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, views=0)
    assert run.encode() == 2  # the val rows
    run.run()
    assert len(list(store.folder.rglob("*.safetensors"))) == 2


def test_weights_given_explicitly_count_under_any_protocol(checked, tiny_sam, store, accelerator, tmp_path):
    settings = {"protocol": "reference", "variant": "apm", "point_weight": 1.0, "saliency_weight": 0.0}
    start(tmp_path / "run", checked, tiny_sam, store, accelerator, **settings).run()
    assert all("point" in line and "saliency" not in line for line in log(tmp_path / "run"))


def test_each_slice_of_a_volume_has_its_own_mask(tiny_sam, store, accelerator, tmp_path):
    """Views of all slices are the same where nothing is drawn at random."""
    labels = np.zeros((20, 24, 4), np.uint8)
    for number in range(4):
        labels[4 * number : 4 * number + 5, 5:15, number] = 1
    lines = ["image_name,train_type,mask_name"]
    for split in ("train", "val"):
        image = np.random.default_rng(len(lines)).integers(0, 99, labels.shape).astype(np.int16)
        write_nifti(tmp_path / f"{split}.nii", image)
        write_nifti(tmp_path / f"{split}_m.nii", labels)
        lines.append(f"{split}.nii,{split},{split}_m.nii")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    rows = check_rows(read_manifest(tmp_path / "m.csv"))
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator, augmentation=Recipe.NONE)
    for again in range(2):
        for row in range(4):
            item = run.training_set[Draw(row, 0, (again,))]
            sample = Sample.of(rows[row], tiny_sam, run.settings.fit)
            assert torch.equal(item.target, shrink_mask(torch.from_numpy(sample.mask())[None], tiny_sam.mask_side))


def test_masks_with_nothing_in_them_teach_nothing(manifest, tiny_sam, store, accelerator, tmp_path):
    for path in (manifest.parent / "masks").iterdir():
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(path)
    with pytest.raises(ManifestError, match="the masks of all train rows are empty"):
        start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator)


def test_other_masks_of_the_same_size_are_other_data(manifest, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator, epochs=1).run()
    path = manifest.parent / "masks/0.png"
    Image.fromarray(np.asarray(Image.open(path))[::-1].copy()).save(path)
    with pytest.raises(CheckpointError, match="holds a run with another data"):
        start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator, epochs=1)


def with_instances(manifest):
    """The data set's masks as instance maps: the left and the right half of each object."""
    for path in (manifest.parent / "masks").iterdir():
        labels = (np.asarray(Image.open(path)) > 0).astype(np.uint16)
        middle = int(np.nonzero(labels)[1].mean())
        labels[:, middle:] *= 2
        Image.fromarray(labels).save(path)
    return check_rows(read_manifest(manifest), make_reading(instances=True))


def test_oracle_points_ask_for_one_object_and_own_points_for_all(manifest, tiny_sam, store, accelerator, tmp_path):
    rows = with_instances(manifest)
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator)
    seen = set()
    for seed in range(12):
        item = run.training_set[Draw(0, 0, (seed,))]
        whole, one = item.target > 0.5, item.oracle_target > 0.5
        assert not (one & ~whole).any()
        assert 0 < one.sum() < whole.sum()
        seen.add(float(item.oracle_target.sum()))
    assert len(seen) == 2
    assert run.run().config.reading.masks == "instances"


def test_binary_masks_are_asked_for_as_they_are(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator)
    item = run.training_set[Draw(0, 1, (1,))]
    assert torch.equal(item.target, item.oracle_target)


def test_each_set_of_prompts_is_compared_with_what_it_asks_for(manifest, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", with_instances(manifest), tiny_sam, store, accelerator)
    batch = collate([run.training_set[Draw(0, 0, (1,))]])
    right = torch.stack([batch.target, batch.oracle_target], 1)[:, :, None].expand(-1, -1, 3, -1, -1) * 20 - 10
    proposal = run.model.propose(batch.inputs)

    def loss(logits):
        own, given = (Decoded(logits[:, n : n + 1], torch.zeros(1, 1, 3)) for n in range(2))
        output = ModelOutput(own, (given,), proposal)
        return float(training_losses(output, batch, run.settings, 32)["mask"])

    assert loss(right) < 0.1 < loss(right.flip(1))


def test_how_files_are_read_stands_in_the_model_and_must_stay(manifest, tiny_sam, store, accelerator, tmp_path):
    rows = check_rows(read_manifest(manifest), make_reading(crop_border=True, window="percentile"))
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator)
    run.run()
    config = load_checkpoint(tmp_path / "run", tiny_sam).config
    assert (str(config.reading.window), config.reading.crop_border) == ("percentile", True)
    assert config.reading == rows[0].reading
    rows = check_rows(read_manifest(manifest), make_reading(crop_border=False, window="percentile"))
    with pytest.raises(CheckpointError, match="holds a run with another reading"):
        start(tmp_path / "run", rows, tiny_sam, store, accelerator)


def test_settings_tell_where_a_run_was_trained_and_a_finished_one_keeps_it(
    checked, tiny_sam, store, accelerator, tmp_path, monkeypatch
):
    begun = start(tmp_path, checked, tiny_sam, store, accelerator, epochs=1, views=1)
    begun.run()
    path = tmp_path / SETTINGS_FILE
    before = json.loads(path.read_text())
    assert before["environment"]["versions"]["torch"] == torch.__version__
    assert before["data_sha256"] == begun._identity.data_sha256
    monkeypatch.setattr("promise_seg.environment._processor", lambda: "another machine")
    start(tmp_path, checked, tiny_sam, store, accelerator, epochs=1, views=1).run()
    assert json.loads(path.read_text()) == before
    path.unlink()
    start(tmp_path, checked, tiny_sam, store, accelerator, epochs=1, views=1).run()
    assert path.exists()


def test_where_the_rows_are_from_is_noted_and_no_part_of_what_a_run_is(checked, tiny_sam, store, accelerator, tmp_path):
    settings = TrainSettings(epochs=2, views=1)

    def of(origin):
        return TrainingRun(tmp_path, checked, tiny_sam, store, settings, accelerator, origin)

    def stop(_stage, done, *_):
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        of(DataOrigin(data="first.csv", val_share=0.2)).run(stop)
    first = read_note(tmp_path)
    of(DataOrigin(data="moved/first.csv")).run()
    second = read_note(tmp_path)
    assert first is not None
    assert second is not None
    assert (first.data, first.val_share, first.mask_threshold) == ("first.csv", 0.2, None)
    assert (second.data, second.val_share) == ("moved/first.csv", None)
    assert second.data_sha256 == first.data_sha256
    assert second.settings == settings


def test_a_training_that_diverges_stops_and_keeps_what_it_had(
    checked, tiny_sam, store, accelerator, tmp_path, monkeypatch
):
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator)
    whole = TrainingRun.train_epoch

    def diverge(self, progress=lambda *_: None):
        found = whole(self, progress)
        if self.epoch == 1:
            next(iter(self.model.trainable_parameters().values())).data[:] = float("nan")
        return found

    monkeypatch.setattr(TrainingRun, "train_epoch", diverge)
    with pytest.raises(SettingsError, match=r"diverged in epoch 2: .*val Dice 0\.\d+, epoch 1\) is in .*best"):
        run.run()
    assert [line["epoch"] for line in log(tmp_path / "run")] == [1]
    model = load_checkpoint(tmp_path / "run/best", tiny_sam)
    assert all(value.isfinite().all() for value in model.trainable_state().values())


def test_a_loss_that_is_no_number_leaves_a_log_that_is_json(
    checked, tiny_sam, store, accelerator, tmp_path, monkeypatch
):
    whole = TrainingRun.train_epoch
    monkeypatch.setattr(TrainingRun, "train_epoch", lambda self, *args: whole(self, *args) | {"mask": float("inf")})
    start(tmp_path / "run", checked, tiny_sam, store, accelerator, epochs=1).run()
    assert "Infinity" not in (tmp_path / "run/log.jsonl").read_text()
    assert log(tmp_path / "run")[0]["mask"] is None
    assert (tmp_path / "run/curves.png").exists()


def test_a_run_notes_its_images_and_goes_on_only_with_the_same_order(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, epochs=1)
    run.run()
    assert read_training_images(tmp_path / "run") == TrainingImages.of(checked)
    with pytest.raises(CheckpointError, match="holds a run with another order of rows"):
        start(tmp_path / "run", checked[::-1], tiny_sam, store, accelerator, epochs=1)
