"""COCO, against pycocotools: run lengths to the pixel, and outlines too, as it is the same rule."""

import json

import numpy as np
import pytest
import tifffile
from pycocotools import mask as coco

from promise_seg.curation.annotations.coco import unpacked
from promise_seg.curation.annotations.shapes import BrokenShapeError
from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.images.formats.opening import open_source
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.prediction.outputs.rle import write_coco, write_rle
from promise_seg.vocabulary import Axis
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
    write_json,
)
from tests.files import write_nifti

CATEGORIES = [{"id": 7, "name": "tool"}, {"id": 3, "name": "polyp"}]


def flat(ring):
    return [float(value) for point in ring for value in point]


def packed(mask):
    runs = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode()}


def unpacked_runs(mask):
    values = np.concatenate([[0], mask.ravel(order="F").astype(int)])
    edges = np.flatnonzero(np.diff(np.concatenate([values, [-1]])))
    counts = np.diff(np.concatenate([[0], edges]))
    counts[0] = int(edges[0]) if len(edges) else 0
    return {"size": list(mask.shape), "counts": [int(count) for count in counts]}


def document(*annotations, **image):
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT} | image],
        "categories": CATEGORIES,
        "annotations": [{"id": key, "image_id": 1, "category_id": 3} | one for key, one in enumerate(annotations)],
    }  # fmt: skip


@pytest.fixture
def imported(tmp_path):
    def of(*annotations, **options):
        write_image(tmp_path / "data/a.png")
        path = write_json(tmp_path / "data/annotations.json", document(*annotations))
        return run(path, tmp_path / "m.csv", force=True, **options)

    return of


@pytest.mark.parametrize("form", [packed, unpacked_runs])
@pytest.mark.parametrize("seed", range(3))
def test_run_lengths_are_those_of_pycocotools(imported, form, seed):
    rng = np.random.default_rng(seed)
    mask = drawn(LARGE, HOLE) | (rng.random((HEIGHT, WIDTH)) > 0.999 - 0.4 * seed)
    found = labels_in(imported({"segmentation": form(mask)}))
    runs = form(mask)
    runs = runs if isinstance(runs["counts"], str) else coco.frPyObjects(runs, HEIGHT, WIDTH)
    assert np.array_equal(found, coco.decode(runs))  # polyp is class 1, by its id
    assert np.array_equal(found > 0, mask)


@pytest.mark.parametrize("rings", [[STAR], [STAR, LOWER], [LARGE], [STAR, LARGE, LOWER]])
def test_outlines_are_united_as_pycocotools_does(imported, rings):
    found = labels_in(imported({"segmentation": [flat(ring) for ring in rings]})) > 0
    runs = coco.merge(coco.frPyObjects([flat(ring) for ring in rings], HEIGHT, WIDTH))
    assert np.array_equal(found, coco.decode(runs).astype(bool))
    assert iou(found, np.logical_or.reduce([drawn(ring) for ring in rings])) >= 0.99


def test_a_keyhole_is_a_hole(imported):
    outer, inner = [*LARGE, LARGE[0]], [*HOLE, HOLE[0]]
    found = labels_in(imported({"segmentation": [flat(outer + inner[::-1])]})) > 0
    assert iou(found, drawn(LARGE, HOLE)) >= 0.99
    assert not found[75, 160]


def test_classes_have_numbers_in_the_order_of_their_ids_and_names(imported):
    one, other = {"segmentation": [flat(STAR)]}, {"segmentation": [flat(LARGE)], "category_id": 7}
    result = imported(other, one)
    assert result.classes == {"polyp": 1, "tool": 2}
    found = labels_in(result)
    assert iou(found == 1, drawn(STAR)) >= 0.99
    assert iou(found == 2, drawn(LARGE)) >= 0.99
    assert not any("overlap" in line for line in result.remarks)
    (row,) = accepted(result.manifests[0], label=2)
    assert np.array_equal(row.mask(), found == 2)


def test_an_image_without_a_name_has_an_address(tmp_path):
    write_image(tmp_path / "data/a.png")
    text = document({"segmentation": [flat(STAR)]}, file_name=None, coco_url="http://images.example.org/train/a.png")
    assert len(run(write_json(tmp_path / "data/x.json", text), tmp_path / "m.csv").pairs) == 1


def test_objects_and_crowds(imported):
    crowd = {"segmentation": packed(drawn(LOWER)), "iscrowd": 1}
    result = imported({"segmentation": [flat(STAR)]}, {"segmentation": [flat(LARGE)]}, crowd, masks="instances")
    found = labels_in(result)
    assert sorted(np.unique(found)) == [0, 1, 2]
    assert not found[130, 40]
    assert any(line.startswith("1 crowd(s)") for line in result.remarks)
    (row,) = accepted(result.manifests[0], instances=True)
    assert len(row.instances()) == 2
    assert labels_in(imported({"segmentation": [flat(STAR)]}, crowd))[130, 40] == 1


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([[1, 2, 3, 4]], "an outline needs three"),
        ([[1, 2, 3, 4, 5, 6, 7]], "each point needs two"),
        ([[1, 2, float("nan"), 4, 5, 6]], "not finite"),
        ([["a", 2, 3, 4, 5, 6]], "not pairs of numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 5]}, "run lengths of 10 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": [WIDTH * HEIGHT + 5, -5]}, "negative, or longer"),
        ({"size": [HEIGHT, WIDTH], "counts": [0.5, WIDTH * HEIGHT - 0.5]}, "not whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": "04"}, "run lengths of"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x7f~~"}, "cannot be read"),
        ({"size": [10, 10], "counts": [100]}, "but its image has 220 x 160"),
        ({"size": [10**9, 10**9], "counts": [10**18]}, "but its image has 220 x 160"),
        ({"counts": [100]}, "lacks 'size'"),
        ([flat([(x + 1e7, y) for x, y in STAR])], "far outside the image"),
        ([flat([(x + 400, y) for x, y in STAR])], "lies outside the image"),
    ],
)
def test_a_broken_shape_is_named_and_the_others_are_kept(imported, segmentation, words):
    result = imported({"segmentation": segmentation}, {"segmentation": [flat(LOWER)]})
    assert any(words in line for line in result.remarks), result.remarks
    assert iou(labels_in(result) > 0, drawn(LOWER)) >= 0.99


def test_what_has_no_area_is_counted_by_kind(imported):
    result = imported(
        {"segmentation": [], "bbox": [1, 2, 3, 4]}, {"keypoints": [1, 2, 2]}, {"segmentation": [flat(STAR)]},
        {"segmentation": [flat(STAR)], "category_id": 99}, {"segmentation": [flat(STAR)], "image_id": 99},
    )  # fmt: skip
    text = "\n".join(result.remarks)
    assert "2 shape(s) left out, because they have no area: box without an outline 1, key points 1" in text
    assert "1 annotation(s) left out, because they are of a category that the file does not list" in text
    assert "1 annotation(s) left out, because they are of an image that the file does not list" in text


def test_packed_numbers_are_those_of_pycocotools():
    rng = np.random.default_rng(1)
    for _ in range(50):
        mask = np.asfortranarray(rng.random((17, 23)) > rng.random(), np.uint8)
        counts = unpacked(coco.encode(mask)["counts"].decode())
        assert np.array_equal(np.repeat(np.arange(len(counts)) % 2, counts).reshape(23, 17).T, mask)
    with pytest.raises(BrokenShapeError, match="in the middle of a number"):
        unpacked("0o")


def test_two_images_of_one_id_are_refused(tmp_path):
    """The last one once had the annotations of both."""
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    value = document({"segmentation": [flat(STAR)]})
    value["images"].append(value["images"][0] | {"file_name": "b.png"})
    write_json(tmp_path / "coco.json", value)
    with pytest.raises(ImageError, match=r"coco\.json: a\.png and b\.png have the id 1, .*Give each its own id"):
        run(tmp_path / "coco.json", tmp_path / "m.csv")


def test_two_categories_of_one_id_are_refused(tmp_path):
    write_image(tmp_path / "a.png")
    value = document({"segmentation": [flat(STAR)]}) | {"categories": [*CATEGORIES, {"id": 3, "name": "fold"}]}
    write_json(tmp_path / "coco.json", value)
    with pytest.raises(ImageError, match="the categories polyp and fold have the id 3"):
        run(tmp_path / "coco.json", tmp_path / "m.csv")


@pytest.mark.parametrize("given", ["coco.json", "."])
def test_a_manifest_does_not_take_the_place_of_the_annotations(tmp_path, given):
    write_image(tmp_path / "a.png")
    path = write_json(tmp_path / "coco.json", document({"segmentation": [flat(STAR)]}))
    before = path.read_bytes()
    with pytest.raises(PromiseError, match=r"coco\.json: is one of the files that are read, and would be lost"):
        run(tmp_path / given, path, force=True)
    assert path.read_bytes() == before


def test_a_name_that_begins_with_a_space_can_be_read_back(tmp_path):
    write_image(tmp_path / " a.png")
    write_json(tmp_path / "coco.json", document({"segmentation": [flat(STAR)]}, file_name=" a.png"))
    run(tmp_path / "coco.json", tmp_path / "m.csv")
    assert [row.row.image.name for row in accepted(tmp_path / "m.csv")] == [" a.png"]


def test_an_attribute_of_regions_that_nothing_has_is_refused(tmp_path):
    write_image(tmp_path / "a.png")
    write_json(tmp_path / "coco.json", document({"segmentation": [flat(STAR)]}))
    with pytest.raises(SettingsError, match="--attribute kind: only regions of VIA have attributes"):
        run(tmp_path / "coco.json", tmp_path / "m.csv", attribute="kind")


def slices_of(*names, sizes=()):
    """A document with a square in each of these images."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:20, 30:50] = True
    images = [
        {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT} for number, name in enumerate(names, 1)
    ]
    for image, height in zip(images, sizes, strict=False):
        image["height"] = height
    annotations = [
        {"id": one["id"], "image_id": one["id"], "category_id": 3, "segmentation": packed(mask)} for one in images
    ]
    return {"images": images, "categories": CATEGORIES, "annotations": annotations}


@pytest.fixture
def pages(tmp_path):
    """A TIFF file with four pages."""
    (tmp_path / "data").mkdir()
    pages = np.zeros((4, HEIGHT, WIDTH), np.uint8)
    tifffile.imwrite(tmp_path / "data/stack.tif", pages, photometric="minisblack")
    return tmp_path / "data"


def test_slices_of_a_volume_are_one_image_of_which_only_they_are_used(pages, tmp_path):
    """As promise predict and promise annotate name them."""
    path = write_json(tmp_path / "coco.json", slices_of("/elsewhere/stack.tif#0", "/elsewhere/stack.tif#3"))
    imported = run(path, tmp_path / "m.csv", images=pages)
    assert len(imported.pairs) == 1
    rows = accepted(tmp_path / "m.csv")
    assert [row.index for row in rows] == [0, 3]
    assert [row.foreground_pixels for row in rows] == [200, 200]
    assert [line.split(",")[-1] for line in (tmp_path / "m.csv").read_text().splitlines()] == ["slice", "0", "3"]


def test_slices_that_the_volume_does_not_have_are_refused(pages, tmp_path):
    path = write_json(tmp_path / "coco.json", slices_of("stack.tif#0", "stack.tif#4"))
    with pytest.raises(PromiseError, match=r"annotates the slice 4, but .*stack\.tif has 4 slice\(s\), counted from 0"):
        run(path, tmp_path / "m.csv", images=pages)


def test_slices_of_different_sizes_are_named(pages, tmp_path):
    path = write_json(tmp_path / "coco.json", slices_of("stack.tif#0", "stack.tif#1", sizes=(HEIGHT, HEIGHT + 1)))
    imported = run(path, tmp_path / "m.csv", images=pages)
    assert any("stack.tif#1 has another size than other slices of stack.tif" in line for line in imported.remarks)
    assert [row.index for row in accepted(tmp_path / "m.csv")] == [0]


CUBE = np.arange(12**3, dtype=np.int16).reshape(12, 12, 12)


def predicted_coco(folder, axis):
    """Write a cube and the COCO file that promise predict writes for masks along an axis; return the label map."""
    (folder / "data").mkdir()
    write_nifti(folder / "data/cube.nii", CUBE)
    source = open_source(folder / "data/cube.nii", axis)
    truth = np.zeros(CUBE.shape, np.uint16)
    truth[2:5, 3:9, 1:4] = 1
    origin = Origin(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), 0.5)
    slices = tuple(LabelledSlice(one, {1: origin}) for one in source.frame.to_slices(truth))
    write_rle(Labelled(source, slices, {1: "polyp"}, True, False), folder / "cube.json")
    write_coco([folder / "cube.json"], folder / "coco.json")
    return truth


@pytest.mark.parametrize("axis", ["auto", "axial", "coronal", "sagittal"])
def test_slices_along_any_axis_are_drawn_where_they_were_cut(axis, tmp_path):
    truth = predicted_coco(tmp_path, Axis(axis))
    imported = run(tmp_path / "coco.json", tmp_path / "m.csv", images=tmp_path / "data")
    found = open_source(imported.pairs[0].mask)
    assert np.array_equal(found.array, truth)
    assert "slice" not in (tmp_path / "m.csv").read_text().splitlines()[0] or axis in ("auto", "axial")
    assert not any("--axis" in line for line in imported.remarks)
    assert sum(row.foreground_pixels for row in accepted(tmp_path / "m.csv")) == truth.sum()


def test_some_slices_along_another_axis_come_with_a_note(tmp_path):
    truth = predicted_coco(tmp_path, Axis.CORONAL)
    content = json.loads((tmp_path / "coco.json").read_text())
    content["images"] = [one for one in content["images"] if one["file_name"].endswith(("#4", "#5"))]
    path = write_json(tmp_path / "some.json", content)
    imported = run(path, tmp_path / "m.csv", images=tmp_path / "data")
    assert any("cube.nii (coronal)" in line and "this --axis" in line for line in imported.remarks)
    rows = accepted(tmp_path / "m.csv", axis=Axis.CORONAL)
    assert [(row.index, row.foreground_pixels) for row in rows] == [(4, 9), (5, 9)]
    assert truth[:, 4].sum() == 9


@pytest.mark.parametrize(
    ("axis", "words"),
    [("coronal", "stack.tif#1 is cut along another axis than other slices of stack.tif"), ("x", "'x' is not a valid")],
)
def test_an_axis_that_cannot_be_is_named(axis, words, pages, tmp_path):
    content = slices_of("stack.tif#0", "stack.tif#1")
    content["images"][1]["axis"] = axis
    imported = run(write_json(tmp_path / "coco.json", content), tmp_path / "m.csv", images=pages)
    assert any(words in line for line in imported.remarks)
