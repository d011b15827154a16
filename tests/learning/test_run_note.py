import json

import pytest

from promise_seg.errors import CheckpointError
from promise_seg.learning.run_note import read_note
from tests.helpers import first_settings


@pytest.fixture
def note_of(tmp_path):
    def of(noted):
        (tmp_path / "settings.json").write_text(noted if isinstance(noted, str) else json.dumps(noted))
        return read_note(tmp_path)

    return of


def test_where_nothing_was_noted_there_is_nothing(tmp_path):
    assert read_note(tmp_path) is None


def test_what_an_older_version_did_not_note_is_not_known(note_of):
    found = note_of({"settings": {"seed": 3}, "data_sha256": "d", "of_a_newer_version": 1})
    assert found is not None
    assert (found.settings, found.data_sha256) == (first_settings(seed=3), "d")
    assert (found.data, found.val_share, found.mask_threshold, found.environment) == (None, None, None, None)


@pytest.mark.parametrize("environment", ["some machine", {"cores": 2}, None])
def test_an_environment_of_another_shape_is_not_known(note_of, environment):
    found = note_of({"settings": {"seed": 3}, "environment": environment})
    assert found is not None
    assert (found.settings, found.environment) == (first_settings(seed=3), None)


@pytest.mark.parametrize(
    ("noted", "words"),
    [("{", "cannot be read"), ([], "it holds list, expected an object"),
     ({"settings": {}}, "settings.seed: is needed, but missing"),
     ({"settings": {"seed": 0, "colour": "red"}}, "settings.colour: "), ({"data_sha256": 4}, "data_sha256: "),
     ({"settings": {"seed": 0}, "val_share": 2}, "val_share: ")],
)  # fmt: skip
def test_what_is_not_as_training_writes_it_is_named_with_a_way_out(note_of, noted, words):
    with pytest.raises(CheckpointError, match=r"settings\.json: .*Restore it, or move it away to continue") as caught:
        note_of(noted)
    assert words in str(caught.value)
