"""Separate objects for users: the Python call, a folder of instance maps, and the tables beside it."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.annotations.geojson import read_geojson
from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.images.tiles import Tiling
from promise_seg.instances import proposing
from promise_seg.prediction.folders import PredictionFolder, predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.objects_table import COLUMNS
from promise_seg.prediction.outputs.formats import WITHOUT_INSTANCES, check_holds_instances, formats_for
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.vocabulary import ApmKind, OutputFormat
from tests.files import write_dicom, write_nifti, write_nrrd
from tests.helpers import disc_image, make_model
from tests.instances.drawn import discs, drawn_model

TOUCHING = discs((9, 10, 6), (20, 10, 6), (25, 25, 4))


@pytest.fixture
def predictor(tiny_sam):
    model = drawn_model(tiny_sam, TOUCHING)
    model.config = model.config.model_copy(update={"instances": InstanceRule()})
    return Predictor(model)


@pytest.fixture
def labeller(predictor):
    return Labeller({1: predictor}, {1: "nucleus"}, instances=True)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(disc_image(number)[0]).save(folder / f"{number}.png")
    return folder


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_user_gets_an_instance_map_and_a_table(predictor):
    image = disc_image(0)[0]
    found = predictor.predict_instances(image)
    assert (found.labels.shape, found.labels.dtype, len(found)) == ((30, 40), np.uint16, 3)
    assert repr(found) == "Instances(3 objects in an image of 30 x 40)"
    for number, one in enumerate(found.objects, 1):
        assert one.area_pixels == np.count_nonzero(found.labels == number)
        assert one.mean_intensity == pytest.approx(image[found.labels == number].mean(), abs=0.01)
    assert set(found.records()[0]) == set(COLUMNS) - {"image", "slice"}
    assert (found.overlay(image) != image).any(2).sum() > 20


def test_objects_are_drawn_on_a_file_too_but_on_no_image_of_another_size(predictor, images):
    found = predictor.predict_instances(images / "0.png")
    np.testing.assert_array_equal(found.overlay(images / "0.png"), found.overlay(disc_image(0)[0]))
    with pytest.raises(SettingsError, match="the image is 39 x 30 pixels, and the instance map 40 x 30"):
        found.overlay(disc_image(0)[0][:, 1:])


def test_areas_are_in_space_where_the_file_tells_its_spacing(predictor, tmp_path):
    affine = np.diag([0.5, 2.0, 3.0, 1.0])
    path = write_nifti(tmp_path / "v.nii", np.zeros((24, 20, 2), np.int16), affine)
    for one in predictor.predict_instances(path, 1).objects:
        assert (one.area, one.area_unit) == (pytest.approx(one.area_pixels), "mm2")


@pytest.mark.parametrize("output", [OutputFormat.PNG, OutputFormat.TIFF, OutputFormat.NPY, OutputFormat.METAIMAGE])
def test_masks_are_instance_maps_of_16_bits(labeller, images, tmp_path, output):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out", output)
    (mask, _) = sorted((tmp_path / "out" / "masks").iterdir())
    stored = open_source(mask).as_stored(0)
    assert stored.dtype == np.uint16
    assert np.array_equal(stored, labeller.label_image(images / "0.png").labels)


def test_tables_have_a_line_for_each_object_and_counts_for_each_image(labeller, images, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([images]), out)
    objects, lines = table(out / "objects.csv"), table(out / "predictions.csv")
    assert [one["id"] for one in objects] == ["1", "2", "3"] * 2
    assert [one["objects"] for one in lines] == ["3", "3"]
    for line in lines:
        areas = [int(one["area_pixels"]) for one in objects if one["image"] == line["image"]]
        assert sum(areas) == int(line["area_pixels"])
    assert objects == table(out / "objects" / "0.csv") + table(out / "objects" / "1.csv")
    assert (np.asarray(Image.open(out / "overlays" / "0.png")) != np.asarray(Image.open(images / "0.png"))).any()


def test_the_table_of_objects_is_whole_again_when_the_command_resumes(labeller, images, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([images / "0.png"]), out)
    assert len(table(out / "objects.csv")) == 3
    (out / "objects.csv").unlink()
    (out / "objects" / "0.csv").unlink()
    outcome = predict_folder(labeller, find_inputs([images]), out)
    assert outcome.predicted == 2
    assert len(table(out / "objects.csv")) == 6
    assert predict_folder(labeller, find_inputs([images]), out).already_there == 2


def test_the_table_of_objects_names_images_that_moved_as_the_other_table_does(labeller, images, tmp_path):
    out, moved = tmp_path / "out", tmp_path / "moved"
    predict_folder(labeller, find_inputs([images]), out)
    images.rename(moved)
    assert predict_folder(labeller, find_inputs([moved]), out).already_there == 2
    named = [line["image"] for line in table(out / "predictions.csv")]
    assert named == [str(moved / "0.png"), str(moved / "1.png")]
    assert [one["image"] for one in table(out / "objects.csv")] == [named[0]] * 3 + [named[1]] * 3


def test_a_table_of_objects_that_another_program_changed_is_refused(labeller, images, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([images]), out)
    (out / "objects" / "0.csv").write_text("image;id\n")
    with pytest.raises(PromiseError, match=r"0\.csv: found another head than image,slice,id.*-o folder"):
        predict_folder(labeller, find_inputs([images]), out)
    (out / "objects" / "0.csv").write_text(",".join(COLUMNS) + "\n0.png,,1\n")
    with pytest.raises(PromiseError, match=r"0\.csv: row 2 has 3 cells; expected 17\. .*-o folder"):
        predict_folder(labeller, find_inputs([images]), out)


def test_each_object_is_an_annotation_of_coco(labeller, images, tmp_path):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out", OutputFormat.COCO)
    found = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [(one["image_id"], one["instance_id"]) for one in found["annotations"]] == [
        (image, number) for image in (1, 2) for number in (1, 2, 3)
    ]
    assert {one["category_id"] for one in found["annotations"]} == {1}
    assert found["categories"] == [{"id": 1, "name": "nucleus"}]


def test_each_object_is_a_detection_of_geojson_that_is_read_back(labeller, images, tmp_path):
    predict_folder(labeller, find_inputs([images / "0.png"]), tmp_path / "out", OutputFormat.GEOJSON)
    path = tmp_path / "out" / "masks" / "0.geojson"
    features = json.loads(path.read_text())["features"]
    assert {one["properties"]["objectType"] for one in features} == {"detection"}
    assert len({one["id"] for one in features}) == 3
    assert all(ring[0] == ring[-1] for one in features for ring in one["geometry"]["coordinates"])
    (image,) = read_geojson(path, json.loads(path.read_text())).images
    assert [shape.class_name for shape in image.shapes] == ["nucleus"] * 3
    labels = labeller.label_image(images / "0.png").labels
    for number, one in enumerate(features, 1):
        outer = np.array(one["geometry"]["coordinates"][0])
        rows, columns = np.nonzero(labels == number)
        assert outer.min(0).tolist() == [columns.min(), rows.min()]
        assert outer.max(0).tolist() == [columns.max() + 1, rows.max() + 1]


def test_objects_of_a_volume_have_numbers_of_their_own(labeller, tmp_path):
    path = write_nifti(tmp_path / "v.nii.gz", np.zeros((24, 20, 3), np.int16))
    labelled = labeller.label(open_source(path))
    assert np.unique(labelled.stack).tolist() == list(range(10))
    assert [one.id for each in labelled.slices for one in each.objects] == list(range(1, 10))
    outcome = predict_folder(labeller, find_inputs([path]), tmp_path / "out")
    assert not outcome.problems
    assert len(table(tmp_path / "out" / "objects.csv")) == 9


def test_formats_of_named_segments_are_refused_and_another_is_chosen_for_their_files(tmp_path):
    for output in WITHOUT_INSTANCES:
        with pytest.raises(SettingsError, match=f"--format {output}: holds named segments.*geojson"):
            check_holds_instances(output)
    dicom = open_source(write_dicom(tmp_path / "a.dcm", np.zeros((5, 6), np.int16)))
    nrrd = open_source(write_nrrd(tmp_path / "v.nrrd", np.zeros((4, 5, 6), np.int16), {}))
    for source in (dicom, nrrd):
        assert not set(formats_for(source, OutputFormat.AUTO, True)) & set(WITHOUT_INSTANCES)


def test_a_folder_of_masks_is_not_gone_on_with(labeller, predictor, images, tmp_path):
    PredictionFolder(tmp_path / "masks", Labeller({1: predictor}, {1: "nucleus"}))
    with pytest.raises(PromiseError, match="predictions without separate objects"):
        PredictionFolder(tmp_path / "masks", labeller)
    PredictionFolder(tmp_path / "objects", labeller)
    with pytest.raises(PromiseError, match="predictions of separate objects"):
        PredictionFolder(tmp_path / "objects", Labeller({1: predictor}, {1: "nucleus"}))


def test_a_model_without_a_map_is_refused_before_anything_is_written(tiny_sam):
    blind = Predictor(make_model(tiny_sam, apm=ApmKind.RESNET))
    with pytest.raises(SettingsError, match="resnet does not make"):
        Labeller({1: blind}, instances=True)
    with pytest.raises(SettingsError, match="resnet does not make"):
        blind.predict_instances(disc_image(0)[0])


def test_an_image_with_too_many_objects_does_not_stop_a_folder(labeller, images, tmp_path, monkeypatch):
    Image.fromarray(disc_image(2)[0]).save(images / "2.png")
    found, crowded = proposing.prompts_in_frame, []

    def prompts_in_frame(*args):
        crowded.append(len(crowded) == 1)
        return (np.zeros((70_000, 4), np.float32), np.zeros((70_000, 2), np.float32)) if crowded[-1] else found(*args)

    monkeypatch.setattr(proposing, "prompts_in_frame", prompts_in_frame)
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.predicted == 2
    assert [line.startswith(f"{images / '1.png'}: has 70,000 objects; expected at most 65,535")
            for line in outcome.problems] == [True]  # fmt: skip
    assert "predict each as a file of its own" in outcome.problems[0]


@pytest.mark.parametrize("tiles", [None, Tiling(side=32, overlap=8)])
def test_too_many_objects_are_an_error_of_the_image_that_is_named(predictor, images, monkeypatch, tiles):
    monkeypatch.setattr(proposing, "LARGEST_LABEL", 2)
    reading = predictor.model.config.reading.model_copy(update={"tiles": tiles})
    predictor.model.config = predictor.model.config.model_copy(update={"reading": reading})
    with pytest.raises(ImageError, match=r"1\.png: has \d objects; expected at most 2"):
        predictor.predict_instances(images / "1.png")


def test_objects_are_not_found_in_an_encoded_image(predictor):
    image = np.zeros((30, 40, 3), np.uint8)
    with pytest.raises(SettingsError, match="predict_instances measures each object in the pixels: give the image"):
        predictor.predict_instances(predictor.encode(image))
