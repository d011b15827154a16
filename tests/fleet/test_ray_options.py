"""Words for a cluster that cannot be meant are refused in one line, before anything is started."""

import os
import socket
from pathlib import Path

import pytest

import promise_seg
from promise_seg.cli.main import main
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.fleet import ray_cluster
from promise_seg.fleet.ray_cluster import RayOptions, _check_answers, connected
from promise_seg.fleet.work import Opened, SharedFolders, Shell, Trouble, WorkReport
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from tests.archives.serving import held_port, port_of
from tests.helpers import make_model, write_dataset


@pytest.fixture
def _has_ray(monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: object())


@pytest.mark.usefixtures("_has_ray")
@pytest.mark.parametrize(
    ("address", "cpus", "words"),
    [("auto", 0, "--ray-cpus 0: expected a whole number from 1"),
     ("somewhere", 1, "--ray somewhere: expected HOST:PORT of the head node, auto or local"),
     ("ray://head:10001", 1, "Run the command on a computer of the cluster with --ray auto")],
)  # fmt: skip
def test_what_cannot_be_meant(address, cpus, words):
    with pytest.raises(SettingsError) as refused:
        RayOptions(address, cpus).check()
    assert words in str(refused.value)


@pytest.mark.parametrize("command", [["predict", "run", "images", "-o", "out"], ["features", "encode", "manifest.csv"]])
def test_cpus_of_workers_without_a_cluster_are_refused(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path)
    (tmp_path / "run").mkdir()
    assert main([*command, "--ray-cpus", "4"]) == 2
    words = " ".join(capsys.readouterr().err.split())
    assert "--ray-cpus 4: only says what workers of a Ray cluster get. Add --ray, or leave it out" in words


@pytest.mark.usefixtures("_has_ray")
def test_credentials_are_refused_and_never_printed(capsys, tmp_path):
    (tmp_path / "run").mkdir()
    run, out = str(tmp_path / "run"), str(tmp_path / "out")
    assert main(["predict", run, str(tmp_path), "-o", out, "--ray", "ray://me:secret@head:6379"]) == 2
    printed = capsys.readouterr()
    assert "contains a user name or password" in " ".join((printed.out + printed.err).split())
    assert "secret" not in printed.out + printed.err
    with pytest.raises(SettingsError, match="contains a user name or password") as refused:
        RayOptions("ray://me:secret@head:6379").check()
    assert "secret" not in str(refused.value)


def test_without_ray_the_words_say_how_to_install_it(monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install 'promise-seg\[ray\]'"):
        RayOptions("auto").check()


def test_an_address_where_nothing_answers():
    with held_port() as held:
        port = port_of(held)
        with pytest.raises(SettingsError, match=rf"--ray 127.0.0.1:{port}: no Ray cluster answers there"):
            _check_answers("--ray", f"127.0.0.1:{port}")


@pytest.mark.usefixtures("_has_ray")
@pytest.mark.parametrize(
    ("address", "words"),
    [("local", r"no cluster could be started on this computer: The node timed out\. Repeat the command when"),
     ("auto", r"no Ray cluster runs on this computer: The node timed out\. Start a cluster with ray start")],
)  # fmt: skip
def test_a_cluster_that_does_not_start_is_one_line(monkeypatch, address, words):
    def init(**_options):
        raise Exception("The node timed out.\nSee the logs")  # as Ray itself does

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    with pytest.raises(SettingsError, match=f"^--ray {address}: {words}"):
        connected(RayOptions(address)).__enter__()


@pytest.mark.usefixtures("_has_ray")
def test_the_address_of_the_environment_is_checked_as_one_that_is_given(monkeypatch):
    with held_port() as held:
        port = port_of(held)
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        with pytest.raises(SettingsError, match=rf"^RAY_ADDRESS 127.0.0.1:{port}: no Ray cluster answers there"):
            connected(RayOptions("auto")).__enter__()
    monkeypatch.setenv("RAY_ADDRESS", "ray://me:secret@head:10001")
    with pytest.raises(SettingsError, match=r"^RAY_ADDRESS: the address contains a user name or password") as refused:
        RayOptions("auto").check()
    assert "secret" not in str(refused.value)
    RayOptions("local").check()
    RayOptions("head:6379").check()


@pytest.mark.usefixtures("_has_ray")
@pytest.mark.parametrize(
    ("more", "words"),
    [(["--part", "1/2"], "--part 1/2: with --ray, the cluster divides the work"),
     (["--device", "cuda:1"], "--device cuda:1: with --ray, expected auto, cpu or cuda")],
)  # fmt: skip
def test_options_that_do_not_go_with_it(more, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("run", "images"):
        (tmp_path / folder).mkdir()
    for command in (["predict", "run", "images", "-o", "out"], ["features", "encode", "manifest.csv"]):
        if command[0] == "features":
            write_dataset(tmp_path)
        assert main([*command, "--ray", "auto", *more]) == 2
        printed = capsys.readouterr()
        assert words in " ".join((printed.out + printed.err).split())
    assert not Path("out").exists()


@pytest.mark.parametrize(("way", "words"), [("--merge", "--ray: cannot be combined with --merge"),
                                            ("--status", "--ray: cannot be combined with --status")])  # fmt: skip
def test_what_reads_logs_needs_no_cluster(way, words, capsys, tmp_path):
    assert main(["predict", way, "-o", str(tmp_path), "--ray", "auto"]) == 2
    printed = capsys.readouterr()
    assert words in " ".join((printed.out + printed.err).split())


@pytest.mark.usefixtures("_has_ray")
def test_models_and_archives_that_cannot_be_sent(tiny_sam, tmp_path):
    with pytest.raises(SettingsError, match="a model that is loaded already is not sent to a cluster"):
        promise_seg.predict_folder(
            Labeller({1: Predictor(make_model(tiny_sam))}), tmp_path, tmp_path / "out", ray="auto"
        )
    with pytest.raises(SettingsError, match="--ray: the images of an archive are not predicted in parts"):
        promise_seg.predict_folder("run", "dicomweb://host/path?Modality=CT", tmp_path / "out", ray="auto")


def test_a_worker_that_sees_other_folders_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "mark"
    place = SharedFolders(str(tmp_path), str(mark), "token", (str(tmp_path / "image.png"),))
    with pytest.raises(PromiseError, match="is a different folder on this computer, or does not exist"):
        place.enter()
    mark.write_text("token")
    with pytest.raises(PromiseError, match=r"image.png: does not exist on this computer\. Put the files on"):
        place.enter()
    (tmp_path / "image.png").touch()
    os.chdir("/")
    place.enter()
    assert Path.cwd() == tmp_path


class _Job:
    def __init__(self, error=None):
        self.error, self.facts, self.notes = error, {"SAM": "x"}, ()

    def open(self):
        return self

    def do(self, items, again):
        if self.error is not None:
            raise self.error
        return WorkReport(len(items))


def test_errors_of_workers_become_answers():
    shell = Shell(_Job())
    assert isinstance(shell.do([1], False), Trouble)  # it is not open yet
    opened = shell.open()
    assert isinstance(opened, Opened)
    assert opened.process.pid == os.getpid()
    found = shell.do([1, 2], False)
    assert found == WorkReport(2, memory_bytes=found.memory_bytes)
    assert found.memory_bytes is None or found.memory_bytes > 10**7
    shell = Shell(_Job(PromiseError("x: cannot write")))
    shell.open()
    assert shell.do([1], False) == Trouble("x: cannot write", is_bug=False)
    shell = Shell(_Job(ValueError("bad\nlines")))
    shell.open()
    assert shell.do([1], False) == Trouble(f"ValueError on {socket.gethostname()}: bad", is_bug=True)
