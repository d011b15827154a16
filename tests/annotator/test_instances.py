"""A project of separate objects: its masks number each object, and its training learns to separate them."""

import csv
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.database import DATABASE
from promise_seg.annotator.objects import AnnotatedObject, Answer
from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.results import instance_map
from promise_seg.annotator.rounds import Round
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import SettingsError
from promise_seg.images.readers import read_labels
from promise_seg.vocabulary import MaskKind, OutputFormat
from tests.annotator.helpers import API, HEIGHT, WIDTH, Tab, bits_of, client_of, model_around
from tests.annotator.learning import Pretended, end_training
from tests.annotator.test_proposals import DISCS, PLACES, model_that_sees

LEFT, RIGHT = (slice(5, 15), slice(5, 15)), (slice(5, 15), slice(15, 30))


@pytest.fixture
def separating(tiny_sam):
    """A model that separates the objects that it sees."""
    return model_that_sees(tiny_sam, DISCS, separates=True)


def accept(project, number=1, rectangles=(LEFT, RIGHT)):
    """Accept an image with these objects alone."""
    tab = Tab(client_of(project), number, seed=number)
    tab.open()
    for one in rectangles:
        tab.act("add", slice=0, mask=bits_of(*one), **{"class": 1})
    tab.act("accept")
    return tab


def values_of(folder, name="masks/0.png"):
    return np.array(Image.open(folder / name))


def test_a_model_that_separates_objects_makes_a_project_of_instance_maps(separating, images, folder):
    with Project(separating, [images], folder) as project:
        tab = Tab(client_of(project), 1)
        assert tab.http.get(f"{API}/project").json()["instances"] is True
        tab.open()
        tab.act("propose", slice=0)
        tab.act("accept")
    found = values_of(folder)
    assert found.dtype == np.uint16
    assert np.array_equal(np.unique(found), np.arange(len(PLACES) + 1))
    expected = separating.predict_instances(images.parent / "images/0.png").labels
    assert np.array_equal(found > 0, expected > 0)
    same = {(int(a), int(b)) for a, b in zip(found[found > 0], expected[found > 0], strict=True)}
    assert len(same) == len(PLACES), "each object has a number of its own"
    data = Dataset.from_csv(folder / "manifest.csv", instances=True, like=separating.reading.without_masks)
    assert data.reading.masks == MaskKind.INSTANCES


def test_objects_that_touch_stay_apart_and_the_upper_one_wins(tiny_sam, images, folder):
    with Project(model_around(tiny_sam), [images], folder, Options(instances=True)) as project:
        accept(project, rectangles=(LEFT, RIGHT, (slice(10, 20), slice(10, 20))))
    found = values_of(folder)
    assert found[6, 6] == 1
    assert found[6, 25] == 2
    assert found[12, 12] == found[12, 18] == found[19, 10] == 3
    assert np.count_nonzero(found) == 250 + 50


def test_other_models_make_masks_of_the_foreground(tiny_sam, images, folder):
    with Project(model_around(tiny_sam), [images], folder) as project:
        accept(project)
        assert not project.instances
    assert np.array_equal(np.unique(values_of(folder)), [0, 255])


@pytest.mark.parametrize("first", [True, False])
def test_the_choice_is_kept_and_another_one_writes_the_masks_again(separating, images, folder, first):
    values = {True: [0, 1, 2], False: [0, 255]}
    with Project(separating, [images], folder, Options(instances=first)) as project:
        accept(project)
    assert np.unique(values_of(folder)).tolist() == values[first]
    with Project(separating, [images], folder) as project:
        assert project.instances is first
    assert np.unique(values_of(folder)).tolist() == values[first]
    with Project(separating, [images], folder, Options(instances=not first)) as project:
        assert project.instances is not first
    assert np.unique(values_of(folder)).tolist() == values[not first]
    assert next(csv.DictReader((folder / "manifest.csv").open()))["mask_name"] == "masks/0.png"


def test_a_project_of_before_goes_on_with_masks_of_the_foreground(separating, images, folder):
    with Project(separating, [images], folder, Options(instances=False)) as project:
        accept(project)
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as connection:
        for step in ("ALTER TABLE images ADD COLUMN is_binary INTEGER", "UPDATE images SET is_binary = 1",
                     "ALTER TABLE images DROP COLUMN mask_kind", "DROP TABLE settings",
                     "PRAGMA user_version = 4"):  # fmt: skip
            connection.execute(step)
    with Project(separating, [images], folder) as project:
        assert not project.instances
        assert project.catalogue.row(1)["mask_kind"] == MaskKind.BINARY
    assert np.unique(values_of(folder)).tolist() == [0, 255]


def test_instance_maps_have_no_room_for_classes(separating, images, folder):
    with pytest.raises(SettingsError, match=r"has the labels 1, 2; expected the label 1 alone\. Give --no-instances"):
        Project(separating, [images], folder, Options(names=("1=cell", "2=vessel"), instances=True))
    assert not folder.exists()
    with Project(separating, [images], folder, Options(names=("1=cell", "2=vessel"))) as project:
        assert not project.instances


def test_a_class_that_is_refused_is_not_kept(separating, images, folder):
    with Project(separating, [images], folder) as project:
        accept(project)
    with pytest.raises(SettingsError, match="have no room for classes"):
        Project(separating, [images], folder, Options(names=("2=vessel",)))
    with Project(separating, [images], folder) as project:
        assert dict(project.classes) == {1: "object"}


@pytest.mark.parametrize("output", [OutputFormat.NRRD, OutputFormat.DICOM_SEG])
@pytest.mark.parametrize("given", [True, None])
def test_formats_of_named_segments_are_refused(separating, images, folder, output, given):
    with pytest.raises(SettingsError, match=rf"--format {output}: holds named segments and no instance maps"):
        Project(separating, [images], folder, Options(output_format=output, instances=given))
    assert not folder.exists()


def test_numbers_go_on_from_slice_to_slice_of_a_volume(separating, volume, folder):
    with Project(separating, [volume], folder, Options(instances=True)) as project:
        tab = Tab(client_of(project), 1)
        tab.open()
        row = project.catalogue.row(1)
        height, width = row["height"], row["width"]
        for index, columns in ((0, slice(1, 3)), (0, slice(3, 5)), (2, slice(2, 4))):
            mask = bits_of(slice(1, 4), columns, height, width)
            tab.act("add", slice=index, mask=mask, **{"class": 1})
        tab.act("accept")
        entry = next(csv.DictReader((folder / "manifest.csv").open()))
        source = project.catalogue.source(1)
        maps = [read_labels(folder / entry["mask_name"], source, index) for index in (0, 1, 2)]
    assert [np.unique(one).tolist() for one in maps] == [[0, 1, 2], [0], [0, 3]]


def test_training_is_told_that_masks_number_the_objects(separating, five_pictures, folder):
    options = Options(learning=Pretended(separating))
    with Project(separating, [five_pictures], folder, options) as project:
        for number in project.catalogue.numbers:
            accept(project, number)
        project.learning.begin()
        (begun,) = Round.all_of(folder)
        end_training(folder, {"error": "enough"})
        project.learning.training._thread.join(600)
    assert begun.job().instances is True


def test_an_object_that_is_covered_has_no_number():
    def square(number, rows, columns, **more):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[rows, columns] = True
        return AnnotatedObject(number, 0, 1, **more).answered(Answer(MaskBits.of(mask)), HEIGHT, WIDTH)

    under, over = square(1, *LEFT), square(2, *LEFT)
    kept = square(3, *RIGHT)
    found = instance_map([under, over, kept], HEIGHT, WIDTH, before=4)
    assert np.unique(found).tolist() == [0, 5, 6]
    assert found[6, 6] == 5
    locked = square(1, *LEFT, locked=True)
    assert instance_map([locked, over], HEIGHT, WIDTH).max() == 1
    assert instance_map([], 3, 4).shape == (3, 4)
