import json
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.learning import pretraining
from promise_seg.learning.pretraining import Pretrainer, PretrainSettings, pretrain
from promise_seg.learning.scene_batches import draw_batch
from promise_seg.sam.loading import load_sam
from promise_seg.scenes import library as library_module
from promise_seg.scenes.library import SceneLibrary


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(library_module, "CHUNK", 8)
    library = SceneLibrary(tmp_path / "scenes", 8, seed=0, size=128)
    library.draw()
    return library


def settings(**values):
    return PretrainSettings(**{"steps": 4, "batch_size": 2, "objects": 2, "scenes": 8, "warmup_steps": 2} | values)


def start(folder, scenes, **values):
    return Pretrainer(folder, settings(**values), scenes, torch.device("cpu"))


def test_batches_fit_together(scenes):
    kinds = set()
    for step in range(30):
        batch = draw_batch(scenes, np.random.default_rng(step), batch_size=2, objects=3)
        assert batch.images.shape == (2, 128, 128, 3)
        assert batch.masks.shape == (2, 3, 128, 128)
        assert batch.token_labels(16).shape == (2, 256)
        if batch.boxes is not None:
            kinds.add("box")
            continue
        kinds.add(batch.points_xy_model.shape[2])
        x, y = batch.points_xy_model.long().unbind(-1)
        on = batch.masks.flatten(2).gather(2, y * 128 + x)
        assert torch.equal(on.long(), batch.point_labels)
    assert kinds == {"box", 1, 2, 4, 8, 16}


@pytest.mark.slow
def test_it_saves_weights_that_load_and_a_log(scenes, tmp_path):
    pretrain(start(tmp_path / "run", scenes), save_every=2)
    assert load_sam(str(tmp_path / "run/nano_sam.safetensors")).image_size == 128
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert all(np.isfinite(line["loss"]) for line in lines)


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_unbroken_one_ends(scenes, tmp_path):
    pretrain(start(tmp_path / "whole", scenes), save_every=2)
    trainer = start(tmp_path / "broken", scenes)
    for _ in range(2):
        trainer.one_step()
    trainer.save()
    trainer.one_step()  # lost when the process dies here
    pretrain(start(tmp_path / "broken", scenes), save_every=2)
    whole, broken = (tmp_path / name / "nano_sam.safetensors" for name in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("last", ["weights", "state"])
def test_a_run_that_was_stopped_between_its_last_files_ends_with_both(scenes, tmp_path, monkeypatch, last):
    pretrain(start(tmp_path / "whole", scenes, steps=2), save_every=1)
    trainer = start(tmp_path / "broken", scenes, steps=2)
    trainer.one_step()
    trainer.save()
    trainer.one_step()
    function = {"weights": "save_tensors", "state": "save_training_state"}[last]
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, function, Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trainer.save()
    pretrain(start(tmp_path / "broken", scenes, steps=2), save_every=1)
    for name in ("nano_sam.safetensors", "state.safetensors"):
        weights = [load_file(tmp_path / run / name) for run in ("whole", "broken")]
        assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items())


@pytest.mark.parametrize("content", [b"[]", b'{"loss": 1}', b"\xff", b"{"])
def test_a_damaged_log_is_named_before_a_run_goes_on(scenes, tmp_path, content):
    start(tmp_path / "run", scenes).save()
    (tmp_path / "run/log.jsonl").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"log\.jsonl: cannot be read: line 1: .*Restore it"):
        start(tmp_path / "run", scenes)


@pytest.mark.parametrize("damage", [b"", b"{}", None, "a folder", "a bit"])
def test_a_damaged_state_is_named_before_a_run_goes_on(scenes, tmp_path, damage):
    start(tmp_path / "run", scenes).save()
    path = tmp_path / "run" / pretraining.STATE_FILE
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage == "a bit":
        content[-1] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"state\.safetensors: the run cannot be resumed: .*Restore it"):
        start(tmp_path / "run", scenes)


def test_other_settings_are_refused(scenes, tmp_path):
    trainer = start(tmp_path, scenes)
    trainer.save()
    with pytest.raises(CheckpointError, match="learning_rate differ"):
        start(tmp_path, scenes, learning_rate=1e-9)


def test_a_torch_without_muon_says_so(scenes, tmp_path, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(SettingsError, match=r"torch 2\.9"):
        start(tmp_path, scenes)


def test_the_rate_rises_and_falls():
    s = settings(steps=100, warmup_steps=10)
    rates = [s.rate_at(i) for i in range(100)]
    assert rates[0] < rates[5] < max(rates) <= s.learning_rate
    assert rates[-1] < 0.03 * s.learning_rate


def test_only_the_weights_of_sam_are_published(scenes, tmp_path):
    trainer = start(tmp_path, scenes)
    trainer.save()
    state = load_file(tmp_path / pretraining.WEIGHTS_FILE)
    assert not any("affinity" in name for name in state)
    assert {v.dtype for v in state.values()} == {torch.float16}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"learning_rate": float("nan")}, "--learning-rate nan: expected a finite number, more than 0"),
        ({"learning_rate": -1.0}, "--learning-rate -1.0"),
        ({"batch_size": 0}, "--batch-size 0: expected at least 1"),
        ({"seed": -1}, "--seed -1: expected at least 0"),
    ],
)
def test_numbers_that_cannot_be_used_are_named(values, words):
    with pytest.raises(SettingsError, match=words):
        settings(**values)
