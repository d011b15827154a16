"""Training in two processes on the CPU (gloo): one model, one set of files, each view encoded once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
PROCESSES = 2

WORKER = """
import json, os, sys
from pathlib import Path
import torch
from accelerate import Accelerator
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import TrainingRun
from tests.helpers import make_tiny_sam

folder, manifest, rank = Path(sys.argv[1]), sys.argv[2], int(os.environ["RANK"])
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
accelerator = Accelerator(cpu=True)
assert accelerator.num_processes == 2
settings = TrainSettings(variant="apm+ips", epochs=2, batch_size=2, views=1, learning_rate=1e-3)
rows = check_rows(read_manifest(manifest))


class Stopped(Exception):
    pass


def train(name, store, epochs=2):
    run = TrainingRun(folder / name, rows, make_tiny_sam(), FeatureStore(folder / store), settings, accelerator)
    facts = {"began_at": run.epoch, "encoded": run.encode(), "steps": len(run.loader)}

    def stop(stage, done, total, words):
        if run.epoch == epochs:
            raise Stopped

    try:
        best = run.run(stop)
        facts |= {"best": best.sha256(), "training": best.training}
    except Stopped:
        pass
    return facts | {"last": run.model.sha256()}


facts = {
    "whole": train("whole", "store"),
    "stopped": train("broken", "store-2", epochs=1),
    "resumed": train("broken", "store-2"),
}
(folder / f"facts-{rank}.json").write_text(json.dumps(facts))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def in_two_processes(folder: Path, manifest: Path) -> list[dict]:
    """What each of two processes says that train together."""
    environment = os.environ | {
        "WORLD_SIZE": str(PROCESSES), "LOCAL_WORLD_SIZE": str(PROCESSES), "ACCELERATE_USE_CPU": "true",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",  # asked for, not used: they meet in a file
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, folder, manifest],
            cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(PROCESSES)
    ]  # fmt: skip
    try:
        errors = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * PROCESSES, "\n".join(errors)[-6000:]
    return [json.loads((folder / f"facts-{rank}.json").read_text()) for rank in range(PROCESSES)]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="PyTorch was built without gloo")
def test_two_processes_train_one_model_and_resume_it(manifest, tmp_path):
    found = in_two_processes(tmp_path, manifest)
    whole, stopped, resumed = ([facts[name] for facts in found] for name in ("whole", "stopped", "resumed"))

    assert sum(facts["encoded"] for facts in whole) == 8  # six train rows and two val rows, each once
    assert all(facts["encoded"] for facts in whole)
    assert [facts["steps"] for facts in whole] == [2, 2]  # three batches of two rows, one of them for both
    assert whole[0] == whole[1] | {"encoded": whole[0]["encoded"]}  # one model, whichever process is asked
    assert not whole[0]["training"]
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2]

    assert not any("best" in facts for facts in stopped)
    assert [facts["began_at"] for facts in (*whole, *stopped, *resumed)] == [0, 0, 0, 0, 1, 1]
    assert [facts["encoded"] for facts in resumed] == [0, 0]
    for name in ("best", "last"):
        once, twice = (load_file(tmp_path / run / name / "model.safetensors") for run in ("whole", "broken"))
        assert once.keys() == twice.keys()
        for key, value in once.items():
            torch.testing.assert_close(twice[key], value, rtol=0, atol=1e-6, msg=key)
