"""A model as a folder: which files there are, what describes them, and that nothing is left half-done."""

import hashlib
import json

import numpy as np
import pytest
import torch
from torch import nn
from transformers import SamModel

import promise_seg
from promise_seg.class_sets import class_folder, write_class_set
from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from promise_seg.exporting import comparing, tracing
from promise_seg.exporting.writing import is_export
from promise_seg.model import bare_model
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.kinds import freeze
from promise_seg.sam.nano import initialise
from promise_seg.storage.files import same_content
from promise_seg.vocabulary import ApmKind, PromptForm
from promise_seg.workflows.model_ref import ModelRef
from promise_seg.workflows.models import OpenModels
from tests.exporting.models import involved_model, saved, shifted_model
from tests.helpers import strict_json, tiny_config
from tests.sam.tiny import TINY

pytestmark = pytest.mark.usefixtures("onnx")


def opened(model) -> OpenModels:
    """A model in memory, as if a run had been loaded."""
    return OpenModels(ModelRef.resolve("bare"), (model,))


@pytest.mark.slow
def test_the_description_names_the_files_their_hashes_and_their_shapes(involved_run, involved_export, tiny_sam, onnx):
    about = strict_json(involved_export / "model.json")
    assert {path.name for path in involved_export.iterdir()} == {*about["files"], "model.json"}
    for name, facts in about["files"].items():
        content = (involved_export / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    for graph in about["graphs"].values():
        model = onnx.load(involved_export / graph["file"])
        assert [one.version for one in model.opset_import if one.domain == ""] == [17]
        for ports, values in ((graph["inputs"], model.graph.input), (graph["outputs"], model.graph.output)):
            shapes = {
                value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
                for value in values
            }
            assert {port["name"]: port["shape"] for port in ports} == shapes
    model = promise_seg.load(involved_run, device="cpu").model
    assert about["model"]["sha256"] == model.sha256()
    assert about["model"]["sam_sha256"] == tiny_sam.sha256
    assert about["image"]["side"] == 32
    assert about["postprocessing"] == model.config.postprocessing.model_dump(mode="json")
    assert about["decoder"]["own_prompts"] == {"map_share": 0.3, "presence_threshold": 0.01, "second_pass": True}
    assert about["decoder"]["given_map_shares"] == {str(form): 0.4 for form in PromptForm}
    assert about["versions"]["opset"] == 17


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(involved_run, involved_export, tmp_path):
    assert main(["export", str(involved_run), "-o", str(tmp_path / "again")]) == 0
    assert same_content(tmp_path / "again", involved_export)


@pytest.mark.slow
@pytest.mark.parametrize("apm", [kind for kind in ApmKind if kind != ApmKind.PRETRAINED])
def test_every_auto_prompter_can_be_exported(tiny_sam, tmp_path, apm):
    (found,) = promise_seg.export(opened(shifted_model(tiny_sam, apm)), tmp_path / "out")
    assert [one.file for one in found.agreement] == ["encoder.onnx", "prompter.onnx", "decoder.onnx"]
    assert max(one.difference for one in found.agreement) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", TINY)
def test_every_kind_of_sam_can_be_exported(tmp_path, kind):
    sam = freeze(TINY[kind](0), kind)
    (found,) = promise_seg.export(opened(shifted_model(sam, ApmKind.HEATMAP)), tmp_path / "out")
    assert max(one.difference for one in found.agreement) < 1e-3


@pytest.mark.slow
def test_windows_that_do_not_divide_the_grid_can_be_exported(tmp_path):
    config = tiny_config()
    config.vision_config.window_size = 3  # of a grid of 8
    model = SamModel(config)
    initialise(model)
    for block in model.vision_encoder.layers:
        nn.init.normal_(block.attn.qkv.bias)  # what padded tokens are
    (found,) = promise_seg.export(opened(bare_model(FrozenSam(model, "tiny"))), tmp_path / "out")
    assert max(one.difference for one in found.agreement) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 19, 20])
def test_every_other_opset_gives_the_same(involved_run, tmp_path, opset, onnx):
    (found,) = promise_seg.export(involved_run, tmp_path / "out", opset=opset)
    assert max(one.difference for one in found.agreement) < 1e-4
    for path in (tmp_path / "out").glob("*.onnx"):
        assert [one.version for one in onnx.load(path).opset_import if one.domain == ""] == [opset]


@pytest.mark.slow
def test_prompts_that_are_left_out_have_a_default(involved_export):
    session = comparing.open_session(involved_export / "decoder.onnx")
    about = json.loads((involved_export / "model.json").read_text())["graphs"]["decoder"]
    assert [port["name"] for port in about["inputs"] if port["optional"]] == [
        "mask_input", "has_mask_input", "own_prompts"
    ]  # fmt: skip
    given = {
        "embedding": np.zeros((1, 16, 8, 8), np.float32), "points": np.ones((3, 5, 2), np.float32),
        "labels": np.ones((3, 5), np.int64), "boxes": np.zeros((3, 0, 4), np.float32),
    }  # fmt: skip
    masks, *_ = session.run(None, given)
    off = {"has_mask_input": np.array([False]), "own_prompts": np.array([False])}
    ignored = {"mask_input": np.full((3, 32, 32), 9, np.float32)}
    np.testing.assert_array_equal(session.run(None, given | off | ignored)[0], masks)
    assert np.abs(session.run(None, given | ignored | {"has_mask_input": np.array([True])})[0] - masks).max() > 0.01


@pytest.mark.slow
def test_bare_has_an_encoder_and_a_decoder(tiny_sam, tmp_path, capsys):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    assert main(["export", "bare", "--sam", str(tmp_path / "sam"), "-o", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    program = {"predict.py", "predict_frames.py", "predict_masks.py", "predict_prompts.py"}
    assert names == {"encoder.onnx", "decoder.onnx", "model.json"} | program
    assert strict_json(tmp_path / "out/model.json")["prompter"] is None
    printed = capsys.readouterr().err
    assert "encoder.onnx: at most" in printed
    assert f"written: {tmp_path / 'out'}" in printed


@pytest.mark.slow
def test_a_model_of_several_classes_has_a_folder_for_each(tiny_sam, tmp_path):
    write_class_set(tmp_path, [2, 5])
    for label in (2, 5):
        saved(shifted_model(tiny_sam, ApmKind.HEATMAP, seed=label), class_folder(tmp_path, label))
    found = promise_seg.export(tmp_path, tmp_path / "out")
    assert [one.folder.name for one in found] == ["class-2", "class-5"]
    hashes = [strict_json(one.folder / "model.json")["files"]["decoder.onnx"]["sha256"] for one in found]
    assert hashes[0] != hashes[1]
    assert is_export(tmp_path / "out")


@pytest.mark.slow
def test_weights_that_are_too_large_go_into_a_file_of_their_own(involved_run, involved_export, tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "LARGEST_FILE", 10_000)
    (found,) = promise_seg.export(involved_run, tmp_path / "out")
    assert max(one.difference for one in found.agreement) < 1e-4
    assert (tmp_path / "out/decoder.onnx.data").stat().st_size > 10_000
    assert "decoder.onnx.data" in strict_json(tmp_path / "out/model.json")["files"]
    assert is_export(tmp_path / "out")


@pytest.mark.slow
def test_images_may_always_be_segmented(involved_run, tmp_path):
    model = promise_seg.load(involved_run, device="cpu", always_segment=True)
    promise_seg.export(model, tmp_path / "out")
    assert strict_json(tmp_path / "out/model.json")["decoder"]["own_prompts"]["presence_threshold"] is None


class _Broken(nn.Module):
    """A part that no graph can hold."""

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvals(embedding[0, 0]).real.sum() + torch.zeros(1, 4, 16)


@pytest.mark.slow
def test_a_part_that_cannot_be_exported_is_named(tiny_sam, tmp_path, capsys):
    model = involved_model(tiny_sam)
    model.ips = _Broken()
    with pytest.raises(SettingsError, match=r"bare: the decoder of tiny-0 cannot be exported: .*linalg_eigvals"):
        promise_seg.export(opened(model), tmp_path / "out")
    assert not list(tmp_path.iterdir())
    assert "Torch IR" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_graph_that_differs_from_pytorch_is_refused(tiny_sam, tmp_path, monkeypatch):
    monkeypatch.setattr(comparing, "TOLERANCE", 0.0)
    with pytest.raises(SettingsError, match=r"bare: the encoder of tiny-0 was exported, but its outputs differ"):
        promise_seg.export(opened(involved_model(tiny_sam)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--opset", "9"], "--opset 9: expected 17 to 20, as opsets before 17 have no operator for layer norms"),
        (["--opset", "24"], "--opset 24: expected 17 to 20"),
        (["--image-size", "64"], "a trained model is used at the size it was trained at"),
        (["-o", "taken"], "-o taken: already exists, and is not an earlier export"),
        (["-o", "taken/notes.txt"], "-o taken/notes.txt: already exists"),
        (["-o", "taken/notes.txt/out"], "cannot write"),
        (["-o", "run"], "-o run: already exists, and is not an earlier export"),
    ],
)
def test_mistakes(involved_run, tmp_path, monkeypatch, capsys, words, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")
    (tmp_path / "run").symlink_to(involved_run)
    assert main(["export", "run", "-o", "out", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "Traceback" not in error
    assert (tmp_path / "taken/notes.txt").read_text() == "mine"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_earlier_export_is_replaced_unless_something_is_beside_it(tiny_sam, tmp_path):
    out = tmp_path / "out"
    promise_seg.export(opened(shifted_model(tiny_sam, ApmKind.HEATMAP)), out)
    before = (out / "decoder.onnx").read_bytes()
    promise_seg.export(opened(shifted_model(tiny_sam, ApmKind.HEATMAP, seed=3)), out)
    assert (out / "decoder.onnx").read_bytes() != before
    (out / "__pycache__").mkdir()  # as Python leaves it after an import of the program
    (out / "__pycache__" / "predict.cpython-312.pyc").write_bytes(b"")
    promise_seg.export(opened(shifted_model(tiny_sam, ApmKind.HEATMAP)), out)
    assert (out / "decoder.onnx").read_bytes() == before
    assert not (out / "__pycache__").exists()
    (out / "mask.png").write_bytes(b"")
    with pytest.raises(SettingsError, match="nothing that promise export did not write"):
        promise_seg.export(opened(shifted_model(tiny_sam, ApmKind.HEATMAP)), out)


def test_missing_packages_are_named_with_what_installs_them(involved_run, tmp_path, monkeypatch, capsys):
    from promise_seg.exporting import packages

    for missing, words in (({"onnx", "onnxruntime"}, "packages onnx and onnxruntime, which are"),
                           ({"onnxruntime"}, "package onnxruntime, which is")):  # fmt: skip
        monkeypatch.setattr(packages, "find_spec", lambda name, gone=missing: None if name in gone else name)
        assert main(["export", str(involved_run), "-o", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert f"{words} not installed" in error
        assert "pip install 'promise-seg[onnx]'" in error
