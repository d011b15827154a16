"""``promise annotate`` as a user types it."""

import signal
import socket
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


@pytest.mark.parametrize(
    ("options", "images", "words"),
    [
        (["--format", "coco"], "data/images", "--format coco: expected auto, png"),
        (["--format", "nifti"], "data/images", "--format nifti: masks of 0.png in this format"),
        (["--format", "dicom-seg", "--sam", "nowhere"], "data/images", "nowhere"),
        (["--truth"], "data/images", "has no mask"),
        (["--name", "0=tool"], "data/images", "--name 0=tool"),
        (["--host", "192.0.2.1", "--insecure"], "data/images", "is not an address of this computer"),
        (["--metrics-host", "0.0.0.0"], "data/images", "needs --metrics PORT"),
        ([], "nothing", "no such file or folder"),
        ([], "unreadable", "none of 1 image(s) can be read"),
    ],
)
def test_a_refused_start_leaves_nothing_behind(place, served, tmp_path, capsys, options, images, words):
    (place / "unreadable").mkdir(exist_ok=True)
    (place / "unreadable/a.png").write_text("nothing")
    before = sorted(tmp_path.iterdir())
    assert annotate(place, "-o", tmp_path / "above/project", *options, images=images) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert (sorted(tmp_path.iterdir()), served) == (before, [])


def test_a_port_for_metrics_that_is_in_use_leaves_nothing_behind(place, served, tmp_path, capsys):
    pytest.importorskip("prometheus_client")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert annotate(place, "-o", tmp_path / "project", "--metrics", str(port)) == 2
    assert f"--metrics {port}: cannot listen" in " ".join(capsys.readouterr().err.split())
    assert (list(tmp_path.iterdir()), served) == ([], [])


def test_a_refused_start_keeps_what_was_there(place, served, tmp_path):
    (tmp_path / "empty").mkdir()
    assert annotate(place, "-o", tmp_path / "empty", "--format", "nifti") == 2
    assert list((tmp_path / "empty").iterdir()) == []
    assert annotate(place, "-o", tmp_path / "project") == 0
    served.pop()
    before = sorted(path.name for path in (tmp_path / "project").iterdir())
    assert annotate(place, "-o", tmp_path / "project", "--format", "nifti") == 2
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == before
    assert "project.sqlite" in before


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("x" * 201, "--user: has 201 characters; expected at most 200"),
        ("  ", "--user: is ' '; expected a name"),  # this test joins spaces
        ("ada\nb", "--user: contains '\\n'; expected one line of text"),
        ("a\x1b[31m", "--user: contains '\\x1b'"),
        ("a\u2028b", "--user: contains '\\u2028'"),
        ("a\udcff", "--user: contains '\\udcff'"),  # as Python passes a byte that is not UTF-8
    ],
)
def test_a_name_that_cannot_be_shown_is_refused(place, served, tmp_path, capsys, user, words):
    assert annotate(place, "-o", tmp_path / "project", "--user", user) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert (list(tmp_path.iterdir()), served) == ([], [])


@pytest.mark.parametrize("user", ["x" * 200, "Ada Lovelace", "नवीन\u200dम"])
def test_names_of_all_scripts_can_be_used(place, served, tmp_path, user):
    assert annotate(place, "-o", tmp_path / "project", "--user", user) == 0
    assert served[0][0].options.user == user


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


def test_the_help_and_messages_list_the_formats_that_are_accepted(place, tmp_path, capsys):
    expected = "auto, png, tiff, nifti, nrrd, metaimage, npy or dicom-seg"
    assert annotate(place, "-o", tmp_path / "project", "--format", "coco") == 2
    assert capsys.readouterr().err == f"promise: error: --format coco: expected {expected}\n"
    assert main(["annotate", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert expected in words
    assert "geojson" not in words
