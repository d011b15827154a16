"""A training run learns, gives the same bytes from the same seed, and encodes nothing twice."""

import os
import stat

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from promise_seg.checkpoint import load_checkpoint
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.inference.encoding import sam_features
from promise_seg.learning.measuring_best import is_measured
from promise_seg.learning.objective import training_losses
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_set import Draw, collate
from promise_seg.learning.validation import Validated
from promise_seg.sam.backbone import weights_sha256
from promise_seg.vocabulary import ApmKind, MaskChoice, Split, TrainAlso, Variant
from tests.helpers import make_tiny_sam
from tests.learning.runs import log, results, start


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
        pytest.param(Variant.APM, ApmKind.HEATMAP, marks=pytest.mark.slow),
        (Variant.IPS, ApmKind.HEATMAP),
        (Variant.APM_IPS, ApmKind.HEATMAP),
        pytest.param(Variant.APM, ApmKind.RESNET, marks=pytest.mark.slow),
        pytest.param(Variant.APM_IPS, ApmKind.RESNET, marks=pytest.mark.slow),
    ],
)
def test_a_run_learns(variant, apm, checked, store, accelerator, tmp_path):
    """Whole batches: with two of six rows at a time the resnet's batch norms make the objective jump about."""
    epochs = 6 if apm == ApmKind.RESNET else 20  # its steps take a hundred times as long
    sam = make_tiny_sam()
    run = start(tmp_path / "run", checked, sam, store, accelerator, variant=variant, apm=apm,
                epochs=epochs, batch_size=6, views=1, learning_rate=3e-3)  # fmt: skip
    before = objective(run)
    run.run()
    assert objective(run) < before - 0.01
    assert weights_sha256(sam.model) == sam.sha256


@pytest.mark.usefixtures("real_curves")
def test_a_run_leaves_its_files(checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "run", checked, tiny_sam, store, accelerator).run()
    assert [line["epoch"] for line in log(tmp_path / "run")] == [1, 2, 3]
    assert len(results(tmp_path / "run")) == 4
    with Image.open(tmp_path / "run/curves.png") as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("RGB").getdata())) > 10


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


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(checked, tiny_sam, store, accelerator, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        start(tmp_path / name, checked, tiny_sam, store, accelerator, seed=seed).run()
    assert results(tmp_path / "a") == results(tmp_path / "b")
    assert results(tmp_path / "a") != results(tmp_path / "c")


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
    fresh = sam_features([sample], tiny_sam, None)
    fresh_batch = stored._replace(features=dict(fresh.tensors))

    def total(batch):
        output = run.model(batch.inputs, batch.oracle)
        return sum(training_losses(output, batch, run.settings, tiny_sam.image_size).values())

    assert torch.equal(total(stored), total(fresh_batch))


@pytest.mark.parametrize(
    "new",
    [
        pytest.param({}, id="settings of older runs"),
        pytest.param({"apm": "pretrained", "apm_side": 32}, id="settings of new runs", marks=pytest.mark.slow),
    ],
)
def test_test_rows_are_never_read(new, checked, tiny_sam, store, accelerator, tmp_path):
    """Neither by the epochs, nor by what is measured and chosen at the end of new runs."""
    for row in checked:
        if row.row.split == Split.TEST:
            row.row.image.unlink()
            row.row.mask.unlink()
    values = make_settings(**new).model_dump() if new else {}
    run = start(tmp_path / "a", checked, tiny_sam, store, accelerator, **values | {"epochs": 1})
    run.run()
    assert is_measured(run.folder) == bool(new)


@pytest.mark.slow
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


def test_rows_of_both_kinds_are_needed(checked, tiny_sam, store, accelerator, tmp_path):
    train_only = [r for r in checked if r.row.split == Split.TRAIN]
    with pytest.raises(ManifestError, match="no val rows"):
        start(tmp_path / "a", train_only, tiny_sam, store, accelerator)


def test_masks_with_nothing_in_them_teach_nothing(manifest, tiny_sam, store, accelerator, tmp_path):
    for path in (manifest.parent / "masks").iterdir():
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(path)
    with pytest.raises(ManifestError, match="the masks of all train rows are empty"):
        start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator)


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


@pytest.mark.usefixtures("real_curves")
def test_a_loss_that_is_no_number_leaves_a_log_that_is_json(
    checked, tiny_sam, store, accelerator, tmp_path, monkeypatch
):
    whole = TrainingRun.train_epoch
    monkeypatch.setattr(TrainingRun, "train_epoch", lambda self, *args: whole(self, *args) | {"mask": float("inf")})
    start(tmp_path / "run", checked, tiny_sam, store, accelerator, epochs=1).run()
    assert "Infinity" not in (tmp_path / "run/log.jsonl").read_text()
    assert log(tmp_path / "run")[0]["mask"] is None
    assert (tmp_path / "run/curves.png").exists()


def test_the_progress_ends_with_the_best_score_of_all_epochs(checked, tiny_sam, store, accelerator, tmp_path):
    told = []
    run = start(tmp_path, checked, tiny_sam, store, accelerator, epochs=2, views=1)
    run.run(lambda stage, done, total, note="": told.append((stage, done == total, note)))
    stage, is_done, note = [each for each in told if each[0] == "training"][-1]
    assert (stage, is_done) == ("training", True)
    assert note == f"epoch 2/2, best val Dice {run.best['dice']:.3f}"
