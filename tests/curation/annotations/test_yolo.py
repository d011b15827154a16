"""YOLO's texts, against drawings of scikit-image."""

import numpy as np
import pytest
import yaml

from promise_seg.errors import ImageError, ManifestError
from promise_seg.vocabulary import Split
from tests.curation.annotations.helpers import (
    HEIGHT,
    HOLE,
    LARGE,
    LOWER,
    STAR,
    WIDTH,
    accepted,
    drawn,
    iou,
    labels_in,
    run,
    write_image,
)


def line(number, ring):
    return " ".join([str(number), *(f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in ring)])


def write(folder, texts, names=("polyp", "tool")):
    for name, lines in texts.items():
        write_image(folder / "images" / f"{name}.png")
        path = folder / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    (folder / "data.yaml").write_text(yaml.safe_dump({"path": "..", "train": "images/train", "names": names}))
    return folder


def test_outlines_of_images_in_folders_of_splits(tmp_path):
    texts = {"train/a": [line(0, STAR), line(1, LARGE)], "val/a": [line(1, LOWER)], "test/b.1": [line(0, HOLE)]}
    result = run(write(tmp_path / "data", texts), tmp_path / "m.csv")
    assert result.classes == {"polyp": 1, "tool": 2}
    by_split = {pair.split: labels_in(result, number) for number, pair in enumerate(result.pairs)}
    assert iou(by_split[Split.TRAIN] == 1, drawn(STAR)) >= 0.99
    assert iou(by_split[Split.TRAIN] == 2, drawn(LARGE)) >= 0.99
    assert iou(by_split[Split.VAL] == 2, drawn(LOWER)) >= 0.99
    assert iou(by_split[Split.TEST] == 1, drawn(HOLE)) >= 0.99
    assert len(accepted(tmp_path / "m.csv", label=1)) == 3


def test_a_channel_makes_a_hole_and_joins_parts(tmp_path):
    ring = [*LARGE, LARGE[0], *[HOLE[0], *HOLE[:0:-1]], HOLE[0], LARGE[0], *[*LOWER, LOWER[0]]]
    result = run(write(tmp_path / "data", {"a": [line(0, ring)]}), tmp_path / "m.csv")
    assert iou(labels_in(result) > 0, drawn(LARGE, HOLE) | drawn(LOWER)) >= 0.99


@pytest.mark.parametrize("names", [{0: "polyp", 1: "tool"}, {"1": "tool", "0": "polyp"}, ["polyp", "tool"]])
def test_names_in_yaml(tmp_path, names):
    folder = write(tmp_path / "data", {"a": [line(1, STAR)]}, names)
    assert run(folder / "data.yaml", tmp_path / "m.csv").classes == {"polyp": 1, "tool": 2}


def test_names_in_a_list_beside_the_texts(tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"data/{name}.png")
    (tmp_path / "data/a.txt").write_text(line(1, STAR))
    (tmp_path / "data/classes.txt").write_text("polyp\ntool\n")
    (tmp_path / "data/readme.txt").write_text("Hello world\n")
    result = run(tmp_path / "data", tmp_path / "m.csv")
    assert result.counts == {"tool": 1}
    assert np.array_equal(np.unique(labels_in(result)), [0, 2])


def test_an_empty_text_is_an_empty_mask_only_if_that_is_wished(tmp_path):
    folder = write(tmp_path / "data", {"a": [line(0, STAR)], "b": []})
    assert len(run(folder, tmp_path / "m.csv").pairs) == 1
    assert len(run(folder, tmp_path / "n.csv", empty=True).pairs) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [("0 0.5 0.5 0.2 0.2", "box without an outline 1"), ("7 0 0 1 0 1 1", "lists 2, counted from 0"),
     ("0 0 0 1 0 1 1 0.5", "each point needs two"), ("0 0 0 100 0 100 100", "expected fractions"),
     ("0 0 0 nan 0 1 1", "not finite"), ("0 0 0 x 0 1 1", "not pairs of numbers"), ("0 0 0 0 0 1 1", "needs three"),
     ("polyp 0.1", "not a line of YOLO")],
)  # fmt: skip
def test_a_broken_line_is_named_and_the_others_are_kept(tmp_path, text, words):
    result = run(write(tmp_path / "data", {"a": [text, line(0, STAR)]}), tmp_path / "m.csv")
    assert any(words in one for one in result.remarks), result.remarks
    assert iou(labels_in(result) > 0, drawn(STAR)) >= 0.99


def test_an_image_of_which_nothing_can_be_drawn_is_never_empty(tmp_path):
    folder = write(tmp_path / "data", {"a": [line(0, STAR)], "b": ["0 0.5 0.5 0.2 0.2"]})
    result = run(folder, tmp_path / "m.csv", empty=True)
    assert [pair.image.name for pair in result.pairs] == ["a.png"]
    assert any("none of their shapes can be drawn" in one for one in result.remarks)
    with pytest.raises(ManifestError, match="because they have no area: box without an outline 1"):
        run(write(tmp_path / "more", {"b": ["0 0.5 0.5 0.2 0.2"]}), tmp_path / "n.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("names: 5", "no names of classes"),
        ("[", "not valid YAML"),
        ("nc: 3", "no names of classes"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnames: [*b, *b]", "name is not text"),
        ("names: {0: {1: 2}}", "name is not text"),
    ],
)
def test_a_list_of_classes_that_cannot_be_read(tmp_path, content, words):
    folder = write(tmp_path / "data", {"a": [line(0, STAR)]})
    (folder / "data.yaml").write_text(content)
    with pytest.raises(ImageError, match=words):
        run(folder, tmp_path / "m.csv")
