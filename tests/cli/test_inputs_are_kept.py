"""Commands do not write over the files that they read, whatever name these are given by."""

import pytest

from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from promise_seg.workflows.comparing import compare


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["data", "check", "{manifest}", "--json", "{place}"], "manifest.csv"),
        (["data", "show", "{manifest}", "-o", "{place}"], "images/../images/0.png"),
        (["data", "show", "{manifest}", "-o", "{place}"], "masks/0.png"),
    ],
)
def test_an_input_is_no_output(manifest, words, place, capsys):
    place = manifest.parent / place
    before = place.read_bytes()
    assert main([word.format(manifest=manifest, place=place) for word in words]) == 2
    assert f"{place}: is one of the files that are read, and would be lost" in capsys.readouterr().err
    assert place.read_bytes() == before


@pytest.mark.parametrize("name", ["scores_apm.csv", "summary_apm.json"])
def test_a_comparison_does_not_replace_what_it_compares(summaries, name, capsys):
    first, second = summaries
    before = (first / name).read_bytes()
    words = ["compare", str(first), str(second), "-o", str(first / name)]
    assert main(words) == 2
    assert "would be lost" in capsys.readouterr().err
    assert (first / name).read_bytes() == before


def test_prompts_that_a_file_has_not_are_refused(summaries):
    files = [folder / "scores_apm.csv" for folder in summaries]
    (files[0].parent.parent / "notes.txt").touch()
    assert compare(files, prompts="apm").images == compare(files).images
    with pytest.raises(SettingsError, match=r"--prompts oracle: .*scores_apm\.csv has other scores"):
        compare(files, prompts="oracle")
    with pytest.raises(SettingsError, match=r"notes\.txt: expected a file scores_<prompts>\.csv"):
        compare([files[0], files[0].parent.parent / "notes.txt"], prompts="apm")


@pytest.fixture
def summaries(manifest, tiny_sam, tmp_path):
    """Two evaluations of the same rows."""
    from promise_seg import evaluate
    from promise_seg.checkpoint import save_checkpoint
    from tests.helpers import make_model

    tiny_sam.model.save_pretrained(tmp_path / "sam")
    found = []
    for name in ("a", "b"):
        save_checkpoint(make_model(tiny_sam), tmp_path / name)
        evaluate(tmp_path / name, manifest, sam=str(tmp_path / "sam"), device="cpu", output=tmp_path / f"of_{name}")
        found.append(tmp_path / f"of_{name}")
    return found
