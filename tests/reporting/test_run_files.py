import json

import pytest

from promise_seg.checkpoint import save_checkpoint
from promise_seg.errors import CheckpointError
from promise_seg.reporting.run_files import read_run
from tests.helpers import make_model


@pytest.fixture
def run(tiny_sam, tmp_path):
    save_checkpoint(make_model(tiny_sam), tmp_path / "run" / "best")
    return tmp_path / "run"


def test_a_bare_sam_and_a_model_alone_have_nothing_beside_them(run):
    assert read_run(None).folder is None
    found = read_run(str(run))
    assert (found.folder, found.settings, found.log, found.hours) == (run, {}, (), None)


def test_settings_and_log_are_found_from_the_run_and_from_its_model(run):
    (run / "settings.json").write_text(json.dumps({"data_sha256": "d"}))
    (run / "log.jsonl").write_text('{"epoch": 1, "seconds": 1800}\n{"epoch": 2, "seconds": 5400}\n')
    for name in (run, run / "best"):
        found = read_run(str(name))
        assert found.settings == {"data_sha256": "d"}
        assert found.hours == 2
        assert len(found.log) == 2


@pytest.mark.parametrize(("name", "text"), [("settings.json", "{"), ("log.jsonl", "{}\nno\n"), ("log.jsonl", "[1]")])
def test_damaged_files_are_named(run, name, text):
    (run / name).write_text(text)
    with pytest.raises(CheckpointError, match=name):
        read_run(str(run))
