"""Training in half precision, as far as a CPU can: fewer bits while it computes, none less in what it keeps."""

import json

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import TrainingRun
from promise_seg.vocabulary import ApmKind, Precision
from tests.helpers import make_tiny_sam


@pytest.fixture
def accelerator_for():
    """An accelerator of a precision; accelerate keeps one for the whole process."""

    def make(precision):
        AcceleratorState._reset_state(reset_partial_state=True)
        return Accelerator(cpu=True, mixed_precision=precision)

    yield make
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def train(checked, store, tmp_path, accelerator_for):
    def run(name, precision, progress=lambda *_: None, **values):
        settings = TrainSettings(
            **{"epochs": 2, "batch_size": 3, "views": 1, "learning_rate": 1e-3, "variant": "apm+ips"} | values,
            precision=precision,
        )
        run = TrainingRun(tmp_path / name, checked, make_tiny_sam(), store, settings, accelerator_for(precision))
        return run.run(progress)

    return run


def weights(folder, part="last"):
    return load_file(folder / part / "model.safetensors")


@pytest.mark.parametrize("apm", list(ApmKind))
def test_bf16_computes_with_fewer_bits_and_keeps_all(apm, train, tmp_path):
    model = train("half", Precision.BF16, apm=apm)
    train("full", Precision.NO, apm=apm)
    half, full = weights(tmp_path / "half"), weights(tmp_path / "full")
    assert {value.dtype for value in half.values()} == {value.dtype for value in full.values()}
    assert any(not torch.equal(half[name], full[name]) for name in full)
    assert all(bool(value.isfinite().all()) for value in half.values())
    lines = [json.loads(line) for line in (tmp_path / "half" / "log.jsonl").read_text().splitlines()]
    assert all(isinstance(line["mask"], float) for line in lines)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    settings = json.loads((tmp_path / "half" / "settings.json").read_text())["settings"]
    assert settings["precision"] == "bf16"


def test_bf16_learns_about_the_same(train, tmp_path):
    """In one step the weights move the same way: the gradients of both precisions agree in nearly all signs."""
    start = {n: v.clone() for n, v in train("start", Precision.NO, epochs=1, learning_rate=1e-12).state_dict().items()}
    for name, precision in (("half", Precision.BF16), ("full", Precision.NO)):
        train(name, precision, epochs=1, batch_size=6)
    moved = [
        torch.cat([(v - start[n]).flatten() for n, v in weights(tmp_path / name).items() if v.is_floating_point()])
        for name in ("half", "full")
    ]
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.9


def test_a_bf16_run_resumes_exactly(train, tmp_path):
    class Killed(Exception):
        pass

    def kill(stage, done, *_):
        if stage == "training" and done == 3:
            raise Killed

    train("whole", Precision.BF16)
    with pytest.raises(Killed):
        train("broken", Precision.BF16, kill)
    train("broken", Precision.BF16)
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert all(torch.equal(value, broken[name]) for name, value in whole.items())
