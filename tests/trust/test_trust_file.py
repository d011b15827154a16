import json

import pytest
import torch

import promise_seg
from promise_seg.checkpoint import read_config, save_checkpoint, write_config
from promise_seg.errors import CheckpointError
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.storage.tensor_files import load_tensors, save_tensors
from promise_seg.trust.trust_file import TRUST_FILE, find_trust, read_trust, save_trust


@pytest.fixture
def folder(model, trust, tmp_path):
    save_checkpoint(model, tmp_path / "run/best")
    save_trust(trust, tmp_path / "run/best")
    return tmp_path / "run/best"


def rewrite(folder, tensors=None, **changes):
    path = folder / TRUST_FILE
    found, metadata = load_tensors(path)
    calibration = json.loads(metadata["calibration"]) | changes
    save_tensors(path, tensors or found, {"calibration": json.dumps(calibration)})


def test_what_is_read_is_what_was_written(folder, model, trust):
    found = find_trust(folder, model)
    assert found.trust.calibration == trust.calibration
    assert torch.equal(found.trust.neighbours.embeddings, trust.neighbours.embeddings)
    assert found.trust.sha256() == trust.sha256()
    assert found.note == ""


def test_words_of_files_stay_as_they_were_whatever_their_names_in_python(folder, trust):
    """Otherwise calibrations of before could not be read, and their hashes would be others."""
    words = json.loads(load_tensors(folder / TRUST_FILE)[1]["calibration"])
    assert {"line", "presence", "quality"} <= set(words)
    assert json.loads(trust.calibration.as_json()) == words


def test_loading_a_model_brings_its_calibration(folder, tiny_sam, rows):
    image = rows["val"][0].row.image
    assert 0 <= promise_seg.load(folder.parent, sam=tiny_sam).trust(image).score <= 1
    (folder / TRUST_FILE).unlink()
    without = promise_seg.load(folder.parent, sam=tiny_sam)
    assert without.trust(image) is None
    assert "is not calibrated" in without.note


def test_of_another_state_of_the_model_it_is_not_used(folder, tiny_sam, rows):
    write_config(read_config(folder).model_copy(update={"postprocessing": PostProcessing(threshold=0.4)}), folder)
    found = promise_seg.load(folder, sam=tiny_sam)
    assert found.trust(rows["val"][0].row.image) is None
    assert f"{folder / TRUST_FILE} belongs to another state" in found.note
    assert "promise calibrate again" in found.note


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"\xff" * 64], ids=["empty", "text", "bytes"])
def test_a_damaged_file_has_a_way_out(folder, model, content):
    (folder / TRUST_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"trust.safetensors: damaged.*promise calibrate"):
        find_trust(folder, model)


def test_a_file_cut_short_and_one_of_something_else(folder, model):
    path = folder / TRUST_FILE
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="damaged"):
        read_trust(path)
    path.write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="not a calibration"):
        read_trust(path)


def test_another_version_and_nonsense_are_refused(folder, model):
    rewrite(folder, format_version=99)
    with pytest.raises(CheckpointError, match="has format version 99"):
        read_trust(folder / TRUST_FILE)
    rewrite(folder, format_version=1, line={"names": 3})
    with pytest.raises(CheckpointError, match=r"not a calibration: line\.names: expected a list"):
        read_trust(folder / TRUST_FILE)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [(torch.zeros(3, 16), "float32"), (torch.zeros(0, 16).half(), "(0, 16)"),
     (torch.zeros(3, 7).half(), "7 embedding channels"), (torch.full((3, 16), torch.nan).half(), "not finite")],
)  # fmt: skip
def test_embeddings_that_cannot_be(folder, model, embeddings, message):
    rewrite(folder, {"embeddings": embeddings})
    with pytest.raises(CheckpointError) as failure:
        find_trust(folder, model)
    assert message in str(failure.value)
