import json
import socket
from dataclasses import replace

import pytest

from promise_seg.dataset.checks import data_sha256
from promise_seg.learning.run_note import RunNote
from promise_seg.learning.settings import make_settings
from promise_seg.reporting.card import licence_of, make_card
from promise_seg.reporting.options import ReportOptions
from promise_seg.reporting.run_files import Epoch, RunFiles
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.known import KNOWN_SAMS
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_model
from tests.reporting.samples import ENVIRONMENT

OPTIONS = ReportOptions(run="runs/first", data="my.csv", output="out", prompts=(PromptSource.APM,), seed=4)
NOTHING = RunFiles()


def test_hashes_are_of_what_was_used(tiny_sam, checked):
    model = make_model(tiny_sam)
    card = make_card(model, checked, OPTIONS, NOTHING)
    assert card.hashes.model == model.sha256()
    assert card.hashes.sam == tiny_sam.sha256
    assert card.hashes.data == data_sha256(checked)
    assert card.hashes.data != make_card(model, checked[1:], OPTIONS, NOTHING).hashes.data
    assert card.trained_parameters == sum(p.numel() for p in model.trainable_parameters().values())


def test_without_a_training_there_is_none_to_repeat(tiny_sam, checked):
    card = make_card(make_model(tiny_sam), checked, OPTIONS, NOTHING)
    assert card.training is None
    assert card.seeds == {"report": 4}
    assert card.hashes.training_data is None
    assert [line.split()[1] for line in card.commands] == ["evaluate", "report"]


@pytest.fixture
def run(tmp_path):
    note = RunNote(
        settings=make_settings(epochs=2, seed=9), data_sha256="d" * 64, data="trained with.csv", environment=ENVIRONMENT
    )
    log = tuple(Epoch(epoch=number, val_dice=0.5, learning_rate=1e-4, seconds=1800) for number in (1, 2))
    return RunFiles(tmp_path, note, log)


def test_what_training_noted_is_told(tiny_sam, checked, run):
    card = make_card(make_model(tiny_sam), checked, OPTIONS, run)
    assert card.training is not None
    assert (card.training.hours, card.training.epochs) == (1, 2)
    assert card.training.environment == ENVIRONMENT
    assert card.seeds == {"training": 9, "report": 4}
    assert card.hashes.training_data == "d" * 64
    assert card.commands[0] == (
        f"promise train 'trained with.csv' -o {run.folder} --sam tiny-0 --epochs 2 --seed 9"
        f"  # train and val rows: sha256 {'d' * 64}"
    )


def test_a_run_of_an_older_version_has_no_environment_and_no_name_of_its_data(tiny_sam, checked, run):
    older = replace(run, note=run.note.model_copy(update={"environment": None, "data": None}))
    card = make_card(make_model(tiny_sam), checked, OPTIONS, older)
    assert card.commands[0].startswith("promise train DATA.csv ")
    training = card.training
    assert training is not None
    assert training.environment is None


def test_another_input_size_is_among_the_options(tiny_sam, checked, run):
    resized = FrozenSam(tiny_sam.model, "tiny-0", trained_at=64)
    assert "--image-size 32 " in make_card(make_model(resized), checked, OPTIONS, run).commands[0]
    assert "--image-size" not in make_card(make_model(tiny_sam), checked, OPTIONS, run).commands[0]


def test_licences_are_said_where_they_are_known():
    assert licence_of("nano") == "Apache-2.0, as promise-seg"
    assert KNOWN_SAMS["medsam_vit_b"].licence in licence_of("medsam_vit_b")
    assert licence_of("some/folder") == "unknown: see its authors"


def test_it_does_not_tell_whose_machine_it_is(tiny_sam, checked, monkeypatch):
    monkeypatch.setenv("USER", "secret-user")
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-host")
    text = json.dumps(make_card(make_model(tiny_sam), checked, OPTIONS, NOTHING).model_dump(mode="json"))
    assert "secret" not in text
    assert str(checked[0].row.image.parent) not in text
