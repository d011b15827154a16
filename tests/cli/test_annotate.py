"""``promise annotate`` as a user types it."""

import signal
import threading
from queue import Queue

import pytest

from promise_seg.annotator import running
from promise_seg.annotator.learning import LearningOptions
from promise_seg.checkpoint import save_checkpoint
from promise_seg.cli import annotate as command
from promise_seg.cli import stopping
from promise_seg.cli.main import main
from promise_seg.vocabulary import Variant
from tests.helpers import make_model, make_tiny_sam, write_dataset


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("annotate")
    make_tiny_sam().model.save_pretrained(place / "sam")
    write_dataset(place / "data", ("train",))
    (place / "data/images/broken.png").write_text("nothing")
    return place


@pytest.fixture
def served(monkeypatch):
    """What would be served, without serving it."""
    served = []

    def serve(project, place, say, note, layer):
        served.append((project, place))
        say(("http://127.0.0.1:8765/?token=secret",), False)
        say(("http://127.0.0.1:8765/?token=another", "http://10.0.0.7:8765/?token=another"), True)

    monkeypatch.setattr(running, "serve", serve)
    return served


def annotate(place, *more, images="data/images"):
    words = ["annotate", "bare", place / images, "--sam", place / "sam", "--device", "cpu", "--no-browser", *more]
    return main([str(word) for word in words])


def test_it_prints_its_addresses_alone_and_what_is_skipped(place, served, tmp_path, capsys):
    assert annotate(place, "-o", tmp_path / "project", "--user", "ada", "--name", "polyp") == 0
    out, err = capsys.readouterr()
    assert out == "http://127.0.0.1:8765/?token=secret\nhttp://127.0.0.1:8765/?token=another\n"
    assert "it works once" in err
    assert "lets in another one" in err
    assert "http://10.0.0.7:8765/?token=another" in err
    assert "broken.png: skipped" in err
    ((project, listens),) = served
    assert listens == running.Place()
    assert (listens.host, listens.port) == ("127.0.0.1", 8765)
    assert project.options.learning.after == LearningOptions().after
    facts = project.options
    assert (facts.user, facts.names) == ("ada", ("polyp",))


def test_learning_uses_the_same_sam_and_device(place, served, tmp_path):
    assert annotate(place, "-o", tmp_path / "project", "--train-after", "7", "--epochs", "3") == 0
    learning = served[0][0].options.learning
    assert (learning.after, learning.training) == (7, {"epochs": 3})
    assert (learning.sam, learning.device) == (str(place / "sam"), "cpu")
    assert (learning.image_size, learning.always_segment) == (None, False)


def test_a_sam_alone_proposes_nothing(place, served, tmp_path):
    assert annotate(place, "-o", tmp_path / "project") == 0
    assert not served[0][0].segmenter.proposes


def test_it_opens_a_browser_unless_told_otherwise(place, served, tmp_path, monkeypatch):
    opened = Queue()
    ended = threading.Event()

    def launch(address):
        opened.put((address, threading.current_thread() is threading.main_thread()))
        ended.wait(10)

    monkeypatch.setattr("typer.launch", launch)
    annotate(place, "-o", tmp_path / "project")
    assert opened.empty()
    annotate(place, "-o", tmp_path / "project", "--browser")
    assert opened.get(timeout=60) == ("http://127.0.0.1:8765/?token=secret", False)  # some wait until it is closed
    assert opened.empty()
    ended.set()


@pytest.mark.parametrize(
    ("options", "images", "words"),
    [
        (["--host", "0.0.0.0"], "data/images", "others could read what you annotate"),
        ([], "nothing", "no such file or folder"),
        ([], "sam", "no images found"),
        (["--truth"], "data/images", "has no mask"),
        (["--sam", "nowhere"], "data/images", "nowhere"),
        (["--name", "=x"], "data/images", "expected a name"),
    ],
)
def test_mistakes_are_one_line(place, served, tmp_path, capsys, options, images, words):
    assert annotate(place, "-o", tmp_path / "project", *options, images=images) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "promise: error: " in err
    assert "Traceback" not in err
    assert not served


def test_a_place_that_cannot_be_written_to_is_said_before_the_model_is_loaded(place, served, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert annotate(place, "-o", tmp_path / "file" / "project", "--sam", "nowhere") == 2
    printed = capsys.readouterr().err
    assert f"{tmp_path / 'file'}" in printed
    assert "nowhere" not in printed


def test_a_model_for_another_sam_is_refused(place, served, tmp_path, capsys):
    make_tiny_sam(1).model.save_pretrained(tmp_path / "other")
    save_checkpoint(make_model(make_tiny_sam(), Variant.APM_IPS), tmp_path / "run")
    words = [
        "annotate",
        tmp_path / "run",
        place / "data/images",
        "-o",
        tmp_path / "project",
        "--sam",
        tmp_path / "other",
    ]
    assert main([str(word) for word in words]) == 2
    assert "SAM" in capsys.readouterr().err


def test_without_its_packages_it_says_how_to_install_them(place, served, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert annotate(place, "-o", tmp_path / "project") == 2
    assert "pip install 'promise-seg[annotator]'" in capsys.readouterr().err


def test_a_store_that_is_no_folder_is_refused_before_anything_is_made(place, served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert annotate(place, "-o", tmp_path / "p", "--store", "s3://bucket/x") == 2
    assert "--store is the address of an object store" in " ".join(capsys.readouterr().err.split())
    assert (list(tmp_path.iterdir()), served) == ([], [])


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 0, "Ended. Everything is saved"), (signal.SIGTERM, 143, "stopped by SIGTERM")],
    ids=["ctrl-c", "sigterm"],
)
def test_ctrl_c_is_how_it_ends(place, monkeypatch, tmp_path, capsys, number, code, says):
    def serve(project, place, say, note, layer):
        stopping._received.append(number)
        raise stopping.Stopped

    monkeypatch.setattr(stopping, "_received", [])
    monkeypatch.setattr(running, "serve", serve)
    assert annotate(place, "-o", tmp_path / "project") == code
    assert says in capsys.readouterr().err
