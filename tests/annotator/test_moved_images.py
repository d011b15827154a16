"""Images that were moved, copied or deleted, or have the name of another, and their annotations."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator.project import Project
from promise_seg.dataset.dataset import Dataset
from tests.annotator.helpers import Tab, accept_one_with_nothing_in_it, bits_of, client_of
from tests.helpers import write_dataset


def test_images_of_another_start_that_are_called_the_same_keep_their_masks(model, folder, tmp_path):
    """The mask of the first was once replaced, and both had the mask of the second."""
    places = [tmp_path / name for name in ("a", "b")]
    for number, place in enumerate(places):
        place.mkdir()
        Image.fromarray(np.full((30, 40, 3), 40 * number, np.uint8)).save(place / "0001.png")
        with Project(model, [place], folder) as project:
            tab = Tab(client_of(project), number + 1, seed=number)
            tab.open()
            tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(5, 10 + 5 * number), slice(5, 15)))
            tab.act("accept")
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.row.mask.name for row in data.rows] == ["0001.png", "0001_2.png"]
    assert [row.foreground_pixels for row in data.rows] == [50, 100]
    assert sorted(path.name for path in (folder / "prompts").iterdir()) == ["0001.json", "0001_2.json"]


def test_projects_of_before_give_images_that_are_called_the_same_their_own_masks(model, folder, images):
    with Project(model, [images], folder) as project, project.catalogue._database.writing() as connection:
        connection.execute("UPDATE images SET stem = '0'")
    with Project(model, [images], folder) as project:
        assert [row["stem"] for row in project.catalogue.rows()] == ["0", "0_2", "0_3"]


@pytest.fixture
def moved(model, folder, images):
    """The folder of the images of a project with two accepted images, after it was moved; two images are equal."""
    place = images.parent / "images"
    shutil.copyfile(place / "1.png", place / "2.png")
    with Project(model, [place], folder) as project:
        accept_one_with_nothing_in_it(project)
    return place.rename(place.with_name("elsewhere"))


def test_images_that_were_moved_keep_their_annotations(model, folder, moved):
    said = []
    with Project(model, [moved], folder, note=said.append) as project:
        assert project.catalogue.states() == {"open": 1, "done": 2, "skipped": 0}
        rows = [project.catalogue.row(number) for number in (1, 2, 3)]
        assert [Path(row["key"]) for row in rows] == [moved / name for name in ("0.png", "1.png", "2.png")]
        assert [len(project.history.objects(number)) for number in (1, 2)] == [1, 0]
    assert said == [
        f"3 image(s) have moved and keep their annotations: for example, {moved / '0.png'} was "
        f"{moved.with_name('images') / '0.png'}"
    ]
    listed = [row.row.image.resolve() for row in Dataset.from_csv(folder / "manifest.csv")]
    assert listed == [moved / "0.png", moved / "1.png"]


def test_a_copy_of_an_image_that_is_still_there_is_another_image(model, folder, images):
    place = images.parent / "images"
    with Project(model, [place], folder) as project:
        accept_one_with_nothing_in_it(project)
    shutil.copyfile(place / "0.png", place / "copy.png")
    with Project(model, [place], folder) as project:
        assert project.catalogue.states() == {"open": 2, "done": 2, "skipped": 0}


def test_accepted_images_whose_files_are_gone_are_named(model, folder, moved, tmp_path):
    said = []
    other = write_dataset(tmp_path / "others").parent / "images" / "9.png"
    with Project(model, [other], folder, note=said.append):
        pass
    (line,) = said
    assert line.startswith(f"{folder / 'manifest.csv'}: 2 accepted image(s) are left out, because their files are gone")
    assert "0.png. Give the folder that they are in now, too; their annotations are kept" in line
