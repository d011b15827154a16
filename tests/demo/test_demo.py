import csv
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.dataset.manifest import read_manifest
from promise_seg.demo import dataset
from promise_seg.demo.dataset import draw_dataset
from promise_seg.vocabulary import Split
from tests.helpers import make_tiny_sam


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(dataset, "SIZES", {Split.TRAIN: 4, Split.VAL: 2, Split.TEST: 3})


def test_the_drawn_data_set_is_like_a_user_s(small, tmp_path):
    manifest = draw_dataset(tmp_path)
    rows = read_manifest(manifest)
    assert [r.split for r in rows] == ["train"] * 4 + ["val"] * 2 + ["test"] * 3
    assert set(np.unique(np.asarray(Image.open(rows[0].mask)))) == {0, 255}
    before = rows[0].image.stat().st_mtime_ns
    draw_dataset(tmp_path)
    assert rows[0].image.stat().st_mtime_ns == before


@pytest.mark.slow
def test_the_demo_ends_with_a_table_and_a_page(manifest, tmp_path, capsys):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    out = tmp_path / "demo"
    args = ["demo", "--data", str(manifest), "--sam", str(tmp_path / "sam"), "-o", str(out), "--epochs", "1",
            "--views", "1", "--device", "cpu"]  # fmt: skip
    assert main(args) == 0
    printed, progress = capsys.readouterr()
    steps = [line for line in progress.splitlines() if line.startswith("step ")]
    names = ("training apm", "training ips", "training apm+ips", "scoring, and drawing the page")
    for number, (line, name) in enumerate(zip(steps, names, strict=True), 1):
        assert line.startswith(f"step {number} of 4: {name}")
        assert line.endswith(" so far)") == (number > 1)
    for name in ("bare SAM", "apm+ips", "oracle points", "own prompts"):
        assert name in printed

    calibrated = [path.parts[-3] for path in sorted((out / "runs").glob("*/best/trust.safetensors"))]
    assert calibrated == ["apm", "apm+ips"], "trained as promise train does"

    sources = []

    class Images(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "img":
                sources.append(dict(attrs)["src"])

    page = (out / "index.html").read_text()
    assert '<th class="number">Dice</th>' in page
    assert "mean absolute error" in page
    Images().feed(page)
    assert len(sources) == 2 * 6
    assert all(Image.open(out / source).height == 180 for source in sources)


@pytest.mark.parametrize("own", [True, False])
def test_a_folder_below_a_file_is_named(small, manifest, tmp_path, capsys, own):
    (tmp_path / "file").write_text("mine")
    args = ["--data", str(manifest)] if own else []
    assert main(["demo", "-o", str(tmp_path / "file/demo"), *args]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"cannot write: {tmp_path / 'file'} is a file; expected a folder" in error


def test_the_demo_needs_test_rows(manifest, tmp_path, capsys):
    with manifest.open() as file:
        lines = [line for line in csv.reader(file) if line[1] != "test"]
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    assert main(["demo", "--data", str(manifest), "-o", str(tmp_path / "demo")]) == 2
    assert "needs test rows" in capsys.readouterr().err
