import hashlib
from dataclasses import replace

import pytest
import typer

from promise_seg.cli.data_fetch import fetch
from promise_seg.cli.main import _honest
from promise_seg.curation.sets import known_sets
from promise_seg.curation.sets.known_sets import Archive
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from tests.curation.sets.helpers import benchmark, kvasir, serving, write_tree, zip_of
from tests.curation.sets.test_arranging import small

CONTENT = zip_of(kvasir())
app = typer.Typer()
app.command()(_honest(fetch))


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        app([str(a) for a in arguments])
    return end.value.code


@pytest.fixture
def address(monkeypatch, tmp_path):
    """A server on this machine, whose archives the known sets expect."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMISE_SEG_MIRROR", raising=False)
    with serving({"kvasir-seg.zip": CONTENT}) as (address, _):
        archive = Archive(
            file_name="kvasir-seg.zip", url=f"{address}/kvasir-seg.zip", size=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )  # fmt: skip
        for name, known in {
            "kvasir-seg": replace(small("kvasir-seg", 20), archives=(archive,)),
            "cvc-300": small("cvc-300", 2),
            "polyp-benchmark": small("polyp-benchmark", 24, 1, 2, 2, 3, 2, numbered=12),
        }.items():
            monkeypatch.setitem(known_sets.KNOWN_SETS, name, known)
        yield address


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_the_list(arguments, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in known_sets.KNOWN_SETS)
    assert "13,813 MB" in printed
    assert "by hand" in printed


def test_without_the_licence_accepted_it_is_shown_and_nothing_is_fetched(address, tmp_path, capsys):
    assert run("kvasir-seg") == 2
    error = capsys.readouterr().err
    assert "licence: research and education only" in error
    assert "https://datasets.simula.no/kvasir-seg/" in error
    assert "--accept-licence" in error.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_fetch_and_again(address, tmp_path, capsys):
    assert run("kvasir-seg", "--accept-licence") == 0
    said = capsys.readouterr().err
    assert "20 of 20 masks had intermediate grey values and were thresholded at 127" in said
    assert "val: 2 train rows chosen by promise-seg (about 10%, seed 0" in said
    assert "kvasir-seg/manifest.csv: 18 train, 2 val, 0 test rows" in said
    assert len(check_rows(read_manifest(tmp_path / "kvasir-seg/manifest.csv"))) == 20
    assert run("kvasir-seg") == 0
    assert "already there" in capsys.readouterr().err


def test_by_hand_says_what_to_do_and_goes_on_from_there(address, tmp_path, capsys):
    assert run("cvc-300") == 2
    error = capsys.readouterr().err
    assert "to do by hand:" in error
    assert "https://drive.google.com/file/d/1Y2z7FD5p5y31vkZwQQomXFRB0HutHyao" in error
    assert error.splitlines()[-1].endswith("promise data fetch cvc-300 --from TestDataset.zip --accept-licence")
    (tmp_path / "TestDataset.zip").write_bytes(zip_of(benchmark()[1]))
    assert run("cvc-300", "--from", "TestDataset.zip") == 2
    assert run("cvc-300", "--from", "TestDataset.zip", "--accept-licence") == 0
    said = capsys.readouterr().err
    assert "trusted on first use" in said
    assert hashlib.sha256((tmp_path / "TestDataset.zip").read_bytes()).hexdigest() in said
    assert "0 train, 0 val, 2 test rows" in said


def test_two_archives_and_another_place(address, tmp_path, capsys):
    train, test = benchmark()
    (tmp_path / "TrainDataset.zip").write_bytes(zip_of(train))
    tree = write_tree(tmp_path / "unpacked", test)
    options = ("--from", "TrainDataset.zip", "--from", tree, "-o", "data/polyps", "--accept-licence")
    assert run("polyp-benchmark", *options) == 0
    assert (tmp_path / "data/polyps/manifest.csv").exists()
    assert "train and test as published; the five tests by the column dataset" in capsys.readouterr().err


def test_the_mirror_of_the_environment_and_a_list_of_test_rows(address, tmp_path, monkeypatch, capsys):
    known = known_sets.KNOWN_SETS["kvasir-seg"]
    elsewhere = replace(known.archives[0], url="http://127.0.0.1:9/kvasir-seg.zip")
    monkeypatch.setitem(known_sets.KNOWN_SETS, "kvasir-seg", replace(known, archives=(elsewhere,)))
    monkeypatch.setenv("PROMISE_SEG_MIRROR", address + "/")
    (tmp_path / "val.txt").write_text("\ufeffcju03\ncju04.jpg\n\n")  # with a byte order mark, as Windows writes it
    assert run("kvasir-seg", "--accept-licence", "--test-list", "val.txt") == 0
    assert "16 train, 2 val, 2 test rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kvasir"], "kvasir: unknown data set; expected one of kvasir-seg"),
        (["kvasir-seg", "--accept-licence", "--sha256", "abc"], "--sha256 abc: expected 64 hexadecimal digits"),
        (["kvasir-seg", "--accept-licence", "--sha256", "0" * 64], "kvasir-seg.zip is known to have"),
        (["kvasir-seg", "--accept-licence", "--from", "none.zip"], "--from none.zip: no such file or folder"),
        (["kvasir-seg", "--accept-licence", "--test-list", "none.txt"], "none.txt: cannot be read: No such file"),
        (["kvasir-seg", "--accept-licence", "--url", "http://127.0.0.1:9/"], "stopped after 0 of"),
    ],
)
def test_mistakes_are_one_clear_line(address, capsys, arguments, words):
    assert run(*arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("promise: error: ")
    assert words in last
