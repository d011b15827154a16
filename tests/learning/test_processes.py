"""Training in two processes on one CPU: the same training as in one, of which only the main process writes."""

import datetime
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from accelerate import Accelerator

from promise_seg.checkpoint import load_checkpoint
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.learning import training
from promise_seg.learning.run_log import read_log
from promise_seg.learning.training import LOG_FILE, TrainingRun
from promise_seg.learning.training_set import EpochDraws, TrainingSet
from promise_seg.model import PromiseModel
from promise_seg.sam.backbone import weights_sha256
from promise_seg.vocabulary import TrainAlso
from tests.helpers import first_settings, make_tiny_sam, write_dataset

PROCESSES = 2
SETTINGS = {"epochs": 2, "batch_size": 4, "views": 2, "learning_rate": 1e-3}
WRITERS = ("save_checkpoint", "save_training_state", "write_sealed", "write_text", "write_training_images")
ROWS = 9  # one image in the last batch of an epoch


class Killed(Exception):
    pass


class Trained(NamedTuple):
    """A run that is over: how many views it had to encode, and the model that it returned."""

    run: TrainingRun
    encoded: int
    best: PromiseModel


def train(folder: Path, name: str, accelerator: Accelerator, kill_at: int = 0, **values: object) -> Trained:
    """A run in ``folder / name``, which stops after step ``kill_at``, if any."""
    rows = check_rows(read_manifest(folder / "data/manifest.csv"))
    settings = first_settings(**SETTINGS | values)
    run = TrainingRun(folder / name, rows, make_tiny_sam(), FeatureStore(folder / "store"), settings, accelerator)

    def progress(stage: str, done: int, *_: object) -> None:
        if stage == "training" and done == kill_at:
            raise Killed

    return Trained(run, run.encode(progress), run.run(progress))


def log(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in read_log(folder / LOG_FILE)]


def work(process: int, folder: Path) -> None:
    """What one of the processes does. Says in a file what it drew and what went wrong."""
    os.environ |= {"RANK": str(process), "LOCAL_RANK": str(process), "WORLD_SIZE": str(PROCESSES)}
    os.environ |= {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "29500",
    }  # asked for by accelerate; a file is used instead
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", f"file://{folder / 'meeting'}", datetime.timedelta(minutes=5), PROCESSES, process
    )
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == PROCESSES
    if process:

        def refuse(*_: object) -> None:
            raise AssertionError("only the main process writes")

        for name in WRITERS:
            setattr(training, name, refuse)
    drawn = []
    get = TrainingSet.__getitem__
    TrainingSet.__getitem__ = lambda self, draw: drawn.append((draw.row, draw.view)) or get(self, draw)
    run, encoded, best = train(folder, "whole", accelerator)
    facts = {"drawn": list(drawn), "best": run.best, "sam": weights_sha256(run.sam.model), "encoded": encoded}
    facts |= {"last_model": run.model.sha256(), "best_model": best.sha256()}
    with pytest.raises(Killed):
        train(folder, "broken", accelerator, kill_at=3)
    facts["encoded_again"] = train(folder, "broken", accelerator).encoded
    train(folder, "tuned", accelerator, train_also=TrainAlso.PROMPT_ENCODER, epochs=1)
    with pytest.raises(SettingsError) as caught:
        train(folder, "odd", accelerator, batch_size=3)
    facts["refusal"] = str(caught.value)
    (folder / f"{process}.json").write_text(json.dumps(facts))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of runs in two processes."""
    folder = tmp_path_factory.mktemp("processes")
    write_dataset(folder / "data", ("train",) * ROWS + ("val",) * 2)
    torch.multiprocessing.spawn(work, (folder,), PROCESSES)
    return folder


@pytest.fixture(scope="module")
def facts(trained):
    return [json.loads((trained / f"{process}.json").read_text()) for process in range(PROCESSES)]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch is built without gloo")
class TestTwoProcesses:
    def test_they_learn_from_disjoint_halves_of_each_batch(self, facts):
        """Both read the one image of the last batch, which counts for one of them only."""
        draws, batch = EpochDraws(ROWS, SETTINGS["views"], 0), SETTINGS["batch_size"]
        half = batch // PROCESSES
        expected: list[list] = [[], []]
        for draws.epoch in range(SETTINGS["epochs"]):
            *rows, last = [[draw.row, draw.view] for draw in draws]
            for process in range(PROCESSES):
                for first in range(process * half, ROWS - 1, batch):
                    expected[process] += rows[first : first + half]
                expected[process].append(last)
        assert [one["drawn"] for one in facts] == expected

    def test_it_is_the_training_of_one_process(self, trained, facts, accelerator):
        alone = train(trained, "alone", accelerator)
        for line, other in zip(log(trained / "whole"), log(trained / "alone"), strict=True):
            assert line.pop("mask_choice") == other.pop("mask_choice")
            assert line == pytest.approx(other, abs=1e-3)
        assert {one["sam"] for one in facts} == {weights_sha256(alone.run.sam.model)}

    def test_what_the_main_one_wrote_loads_and_both_agree_on_what_is_best(self, trained, facts):
        model = load_checkpoint(trained / "whole/best", make_tiny_sam())
        assert model.config.mask_choice == facts[0]["best"]["mask_choice"]
        assert facts[0]["best"] == facts[1]["best"]
        assert len(log(trained / "whole")) == SETTINGS["epochs"]

    def test_each_of_them_has_the_same_model_in_the_end_and_returns_the_best(self, trained, facts):
        for part, name in (("last", "last_model"), ("best", "best_model")):
            written = load_checkpoint(trained / "whole" / part, make_tiny_sam()).sha256()
            assert [one[name] for one in facts] == [written] * PROCESSES

    def test_each_view_is_encoded_once_by_all_of_them_together(self, facts):
        assert [one["encoded"] for one in facts] == [ROWS * SETTINGS["views"] + 2] * PROCESSES  # with two val rows
        assert [one["encoded_again"] for one in facts] == [0] * PROCESSES

    def test_a_run_that_was_killed_ends_where_an_unbroken_one_ends(self, trained):
        assert log(trained / "broken") == log(trained / "whole")
        for name in ("last/model.safetensors", "best/model.safetensors", "best/config.json"):
            assert (trained / "broken" / name).read_bytes() == (trained / "whole" / name).read_bytes()

    def test_parts_of_sam_learn_too_even_if_some_of_them_have_no_part_in_a_step(self, trained):
        assert load_checkpoint(trained / "tuned/best", make_tiny_sam()).config.train_also == TrainAlso.PROMPT_ENCODER

    def test_batches_without_halves_are_refused(self, facts):
        words = "--batch-size 3: cannot be shared equally among 2 processes. Choose a multiple of 2"
        assert [one["refusal"] for one in facts] == [words] * PROCESSES
