"""A step of training and a prediction on each kind of device that this machine has."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from promise_seg.checkpoint import load_checkpoint
from promise_seg.learning.training import TrainingRun
from promise_seg.prediction.predictor import Predictor
from promise_seg.sam.backbone import weights_sha256
from promise_seg.vocabulary import ApmKind
from tests.helpers import disc_image, first_settings, make_tiny_sam

pytestmark = pytest.mark.slow  # each command or training takes a second or more

CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU of NVIDIA's on this machine")
)
MPS = pytest.param(
    "mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no GPU of Apple's on this machine")
)


@pytest.fixture
def accelerator_on():
    """Makes an accelerator of a device: the library has one of them in a process, which is forgotten here."""

    def make(device: str) -> Accelerator:
        AcceleratorState._reset_state(reset_partial_state=True)
        return Accelerator(cpu=device == "cpu")

    yield make
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    "apm", [pytest.param(apm, marks=[pytest.mark.slow] if apm == ApmKind.RESNET else []) for apm in ApmKind]
)
@pytest.mark.parametrize("device", ["cpu", CUDA, MPS])
def test_it_trains_and_predicts_there(device, apm, checked, store, tmp_path, accelerator_on):
    accelerator = accelerator_on(device)
    assert accelerator.device.type == device
    sam = make_tiny_sam().to(device)
    settings = first_settings(epochs=1, batch_size=6, views=1, apm=apm)
    run = TrainingRun(tmp_path / "run", checked, sam, store, settings, accelerator)
    before = {name: value.clone() for name, value in run.model.trainable_state().items()}
    run.run()
    assert {value.device.type for value in run.model.state_dict().values()} == {device}
    assert any(not torch.equal(value, before[name]) for name, value in run.model.trainable_state().items())
    image = disc_image(0)[0]
    there = Predictor(load_checkpoint(tmp_path / "run/best", sam)).predict(image)
    here = Predictor(load_checkpoint(tmp_path / "run/best", make_tiny_sam())).predict(image)
    np.testing.assert_allclose(there.mask_probs, here.mask_probs, atol=0.01)
    assert weights_sha256(make_tiny_sam().model) == weights_sha256(sam.to("cpu").model)
