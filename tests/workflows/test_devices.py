"""Devices and precisions by name."""

from datetime import timedelta

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState

from promise_seg.errors import SettingsError
from promise_seg.workflows.devices import make_accelerator, pick_device


def test_a_process_may_train_in_one_precision_after_the_other():
    found = [make_accelerator("cpu", precision) for precision in ("no", "bf16", "no")]
    assert [one.mixed_precision for one in found] == ["no", "bf16", "no"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_process_may_train_on_one_device_after_the_other():
    found = [make_accelerator(device) for device in ("cuda", "cpu", "cuda")]
    assert [one.device.type for one in found] == ["cuda", "cpu", "cuda"]


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_a_gpu_beyond_the_last_is_refused(two_gpus):
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(SettingsError, match=r"--device cuda:2: not available here\. The last device .* is cuda:1"):
        pick_device("cuda:2")
    with pytest.raises(SettingsError, match="--device cuda:9: not available here"):
        pick_device(torch.device("cuda:9"))


def test_training_takes_the_gpu_that_is_named(two_gpus, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr("accelerate.Accelerator", lambda **options: options)
    make_accelerator("cuda:1")
    make_accelerator("cuda")
    assert chosen == [1, 0]
    monkeypatch.setenv("WORLD_SIZE", "2")  # where each of several processes has its own
    make_accelerator("cuda:1")
    assert chosen == [1, 0]


def test_processes_wait_for_the_measurements_of_the_main_process(monkeypatch):
    assert make_accelerator("cpu").init_handler.timeout >= timedelta(hours=12)
    groups = []
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda **options: groups.append(options))
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    places = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "OMP_NUM_THREADS": "1"}
    numbers = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    for name, value in (places | numbers).items():
        monkeypatch.setenv(name, value)
    try:
        make_accelerator("cpu")
    finally:
        for state in (PartialState, AcceleratorState):
            state._shared_state = type(state._shared_state)()
    assert [options["timeout"] >= timedelta(hours=12) for options in groups] == [True]


def test_a_device_that_is_not_here_is_named_with_those_that_are():
    with pytest.raises(SettingsError, match=r"--device tpu: not available here\. Choose auto or cpu"):
        pick_device("tpu")
