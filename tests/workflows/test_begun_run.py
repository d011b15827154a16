"""The record of a run that was begun is read if it is one, and otherwise not there."""

import json

import pytest

from promise_seg.storage.sealed import write_sealed
from promise_seg.workflows.begun_run import note_of_run, settings_of_run
from tests.helpers import first_settings

SETTINGS = first_settings(epochs=3)
NOTE = {"settings": SETTINGS.model_dump(mode="json"), "image_size": 128, "data_sha256": "d"}


def test_it_is_read_with_and_without_its_hash(tmp_path):
    write_sealed(tmp_path / "settings.json", NOTE)
    assert settings_of_run(tmp_path) == SETTINGS
    (tmp_path / "settings.json").write_text(json.dumps(NOTE))
    assert note_of_run(tmp_path) == NOTE


@pytest.mark.parametrize("size", [[], "128", {}, 0.5])
def test_a_size_that_is_no_number_is_no_record(tmp_path, size):
    (tmp_path / "settings.json").write_text(json.dumps(NOTE | {"image_size": size}))
    assert note_of_run(tmp_path) is None


def test_a_record_that_was_changed_is_none(tmp_path):
    write_sealed(tmp_path / "settings.json", NOTE)
    path = tmp_path / "settings.json"
    path.write_text(path.read_text().replace("128", "256"))
    assert note_of_run(tmp_path) is None
