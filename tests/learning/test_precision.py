"""Training in bfloat16, on a CPU too."""

import math

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from promise_seg.checkpoint import load_checkpoint
from promise_seg.features.store import FeatureStore
from promise_seg.learning.run_log import read_log
from promise_seg.learning.training import LOG_FILE, TrainingRun
from promise_seg.prediction.predictor import Predictor
from promise_seg.sam.backbone import weights_sha256
from promise_seg.vocabulary import ApmKind, TrainAlso
from tests.helpers import disc_image, first_settings, make_tiny_sam

LOSSES = ("mask", "point", "saliency")


@pytest.fixture
def accelerator_of():
    """Makes an accelerator of a precision: the library has one of them in a process, which is forgotten here."""

    def make(precision: str) -> Accelerator:
        AcceleratorState._reset_state(reset_partial_state=True)
        return Accelerator(cpu=True, mixed_precision=precision)

    yield make
    AcceleratorState._reset_state(reset_partial_state=True)


def train(folder, checked, sam, accelerator, **values) -> tuple[TrainingRun, list[dict]]:
    """A run, and the lines of its log."""
    settings = first_settings(**{"epochs": 2, "batch_size": 3, "views": 1, "learning_rate": 1e-3} | values)
    run = TrainingRun(folder, checked, sam, FeatureStore(folder / "store"), settings, accelerator)
    run.run()
    return run, read_log(folder / LOG_FILE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"apm": ApmKind.HEATMAP}, id="heatmap"),
        pytest.param({"apm": ApmKind.CROSS}, id="cross"),
        pytest.param({"apm": ApmKind.RESNET}, id="resnet"),
        pytest.param({"train_also": TrainAlso.EVERYTHING}, id="everything"),
    ],
)
def test_a_run_in_bfloat16(values, checked, tmp_path, accelerator_of):
    sam = make_tiny_sam()
    run, lines = train(tmp_path, checked, sam, accelerator_of("bf16"), **values)
    assert all(math.isfinite(line[name]) for line in lines for name in LOSSES if name in line)
    assert weights_sha256(sam.model) == sam.sha256
    assert {v.dtype for v in load_file(tmp_path / "last/model.safetensors").values()} <= {torch.float32, torch.int64}
    model = load_checkpoint(tmp_path / "best", sam)
    predicted = Predictor(model).predict(disc_image(0)[0])
    assert predicted.mask.shape == (30, 40)
    assert bool(torch.from_numpy(predicted.mask_probs).isfinite().all())
    again, _ = train(tmp_path, checked, sam, accelerator_of("bf16"), **values)
    assert again.finished
    assert again.epoch == run.epoch == 2


@pytest.mark.slow
def test_it_computes_in_bfloat16_and_learns_much_the_same(checked, tmp_path, accelerator_of, monkeypatch):
    seen = set()
    real = torch.nn.functional.linear

    def linear(inputs, *weights):
        found = real(inputs, *weights)
        if torch.is_grad_enabled():
            seen.add(found.dtype)
        return found

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    logs = {}
    for precision, dtype in (("no", torch.float32), ("bf16", torch.bfloat16)):
        seen.clear()
        _, logs[precision] = train(tmp_path / precision, checked, make_tiny_sam(), accelerator_of(precision))
        assert seen == {dtype}
    for line, other in zip(logs["no"], logs["bf16"], strict=True):
        assert [line[name] for name in LOSSES] == pytest.approx([other[name] for name in LOSSES], rel=0.1)
        assert [line[name] for name in LOSSES] != [other[name] for name in LOSSES]
