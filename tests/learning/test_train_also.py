"""Training parts of SAM too: what was asked for changes and is saved, and nothing else."""

import pytest
import torch
from safetensors.torch import load_file

from promise_seg.checkpoint import load_checkpoint
from promise_seg.sam.backbone import weights_sha256
from promise_seg.vocabulary import TrainAlso
from tests.helpers import make_tiny_sam
from tests.learning.runs import Killed, results, start

pytestmark = pytest.mark.slow  # each command or training takes a second or more


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


@pytest.mark.parametrize("level", [TrainAlso.DECODER, pytest.param(TrainAlso.EVERYTHING, marks=pytest.mark.slow)])
def test_such_a_run_resumes_exactly_too(level, checked, tiny_sam, store, accelerator, tmp_path):
    start(tmp_path / "whole", checked, tiny_sam, store, accelerator, train_also=level).run()

    def kill(_stage, done, *_):
        if done == 5:
            raise Killed

    with pytest.raises(Killed):
        start(tmp_path / "broken", checked, tiny_sam, store, accelerator, train_also=level).run(kill)
    start(tmp_path / "broken", checked, tiny_sam, store, accelerator, train_also=level).run()
    assert results(tmp_path / "broken") == results(tmp_path / "whole")
