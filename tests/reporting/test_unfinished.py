"""A model of an interrupted training is used with a note, which has the command that resumes the training."""

import shlex

import pytest

from promise_seg.cli.main import main
from promise_seg.learning import measuring_best
from promise_seg.learning.training import TrainingRun
from promise_seg.learning.training_classes import ClassesRun
from promise_seg.reporting.unfinished import unfinished_note
from tests.helpers import make_tiny_sam, write_dataset
from tests.workflows.conftest import write_label_maps

CLASSES = ("--class", "all")
ONE_MODEL = (*CLASSES, "--one-model", "--apm", "pretrained", "--apm-side", "32")


def run(*arguments):
    return main([str(one) for one in arguments])


@pytest.fixture
def sam(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return tmp_path / "sam"


@pytest.fixture
def interrupted(tmp_path, sam, monkeypatch):
    """Return a function that trains for one epoch of two, and returns the folder of the run."""
    kept = ("--sam", sam, "--device", "cpu", "--store", tmp_path / "store")

    def train(manifest, *options, kind=TrainingRun):
        epochs, real = [], kind.train_epoch

        def stop(self, progress):
            if epochs:
                raise KeyboardInterrupt
            epochs.append(1)
            return real(self, progress)

        given = ("--epochs", "2", "--batch-size", "3", "--views", "1", "--seed", "3", *options)
        with monkeypatch.context() as patch:
            patch.setattr(kind, "train_epoch", stop)
            assert run("train", manifest, "-o", tmp_path / "run", *given, *kept) == 130
        return tmp_path / "run"

    return train


def resume(note):
    """Run the command of a note."""
    command = shlex.split(note.partition("To resume the training: ")[2])
    assert command[:2] == ["promise", "train"]
    assert run(*command[1:], "--device", "cpu") == 0


@pytest.mark.slow
def test_evaluate_and_predict_say_once_that_training_was_interrupted(interrupted, tmp_path, capsys):
    manifest = write_dataset(tmp_path / "data")
    folder = interrupted(manifest, "--variant", "ips", "--store-precision", "int8")
    capsys.readouterr()
    assert run("evaluate", folder, manifest, "-o", tmp_path / "scores", "--prompts", "oracle", "--device", "cpu") == 0
    note = f"note: {folder}: its training was interrupted after epoch 1 of 2; the best model so far is used. To resume"
    found = capsys.readouterr()
    assert found.err.count(note) == 1
    assert note not in found.out
    image = tmp_path / "data/images/0.png"
    assert run("predict", folder / "best", image, "-o", tmp_path / "masks", "--device", "cpu") in (0, 2)
    assert capsys.readouterr().err.count("its training was interrupted after epoch 1 of 2") == 1
    resume(unfinished_note(folder))
    assert unfinished_note(folder) is None


@pytest.mark.slow
@pytest.mark.parametrize(("options", "kind"), [(CLASSES, TrainingRun), (ONE_MODEL, ClassesRun)], ids=["each", "one"])
def test_the_command_resumes_models_of_several_classes(interrupted, options, kind, tmp_path, capsys):
    folder = interrupted(write_label_maps(tmp_path / "data"), *options, kind=kind)
    first = unfinished_note(folder / "class-1")
    assert "interrupted after epoch 1 of 2" in first
    resume(first)
    assert unfinished_note(folder) is None


@pytest.mark.slow
@pytest.mark.parametrize("step", ["measure_answers", "measure_second_pass", "presence_threshold"])
def test_a_training_may_be_interrupted_after_its_last_epoch(step, tmp_path, sam, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    manifest, folder = write_dataset(tmp_path / "data"), tmp_path / "run"
    options = ("--epochs", "1", "--batch-size", "3", "--views", "1", "--apm", "heatmap", "--sam", sam)
    kept = ("--device", "cpu", "--store", tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(measuring_best, step, stop)
        assert run("train", manifest, "-o", folder, *options, *kept) == 130
    capsys.readouterr()
    image = tmp_path / "data/images/0.png"
    assert run("predict", folder, image, "-o", tmp_path / "masks", "--device", "cpu") == 0
    assert "its training was interrupted after its last epoch, before the final choices" in capsys.readouterr().err
    resume(unfinished_note(folder))
    assert unfinished_note(folder) is None


def test_nothing_is_said_of_other_models(tmp_path):
    for name in ("bare", tmp_path / "nothing", tmp_path / "model.pt"):
        assert unfinished_note(name) is None
