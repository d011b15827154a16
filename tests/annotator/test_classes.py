"""The classes of a project: their names, and masks as label maps."""

import json
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator.classes import classes_of, labels_of
from promise_seg.annotator.database import Database
from promise_seg.annotator.project import Options, Project
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import SettingsError
from promise_seg.images.reading import make_reading
from tests.annotator.helpers import Tab, accept_an_object_of, bits_of, client_of, model_around


def test_several_classes_make_a_label_map_with_the_locked_one_on_top(model, images, folder):
    with Project(model, [images], folder, Options(names=("1=polyp", "2=tool"))) as project:
        assert [one["name"] for one in project.facts()["classes"]] == ["polyp", "tool"]
        assert len({one["colour"] for one in project.facts()["classes"]}) == 2
        tab = Tab(client_of(project), 1)
        tab.open()
        tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(0, 10), slice(0, 10)))
        tab.act("add", slice=0, **{"class": 2}, mask=bits_of(slice(5, 15), slice(5, 15)))
        tab.act("accept")
        labels = np.asarray(Image.open(folder / "masks/0.png"))
        assert labels[7, 7] == 2
        tab.act("properties", object=1, locked=True)
        tab.act("accept")
        labels = np.asarray(Image.open(folder / "masks/0.png"))
        assert labels[7, 7] == 1
        assert labels[12, 12] == 2
    data = Dataset.from_csv(folder / "manifest.csv", classes="all")
    assert data.rows[0].class_pixels == ((1, 100), (2, 75))


def values_of(folder, name="0"):
    return np.unique(np.asarray(Image.open(folder / f"masks/{name}.png"))).tolist()


def test_a_project_keeps_the_names_of_its_classes(model, images, folder):
    """Without --name 2=tool, both classes were once written as 255."""
    with Project(model, [images], folder, Options(names=("1=polyp", "2=tool"))) as project:
        tab = accept_an_object_of(project, 1)
        tab.act("add", slice=0, **{"class": 2}, mask=bits_of(slice(20, 25), slice(0, 10)))
        tab.act("accept")
    with Project(model, [images], folder) as project:
        assert dict(project.classes) == {1: "polyp", 2: "tool"}
        tab = Tab(client_of(project), 1, seed=3)
        tab.open()
        tab.act("reopen")
        tab.act("accept")
        project.export_coco()
    assert values_of(folder) == [0, 1, 2]
    content = json.loads((folder / "exports/coco.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "polyp"}, {"id": 2, "name": "tool"}]
    assert {one["category_id"] for one in content["annotations"]} == {1, 2}


def test_the_table_of_classes_is_read_once(model, images, folder, monkeypatch):
    with Project(model, [images], folder, Options(names=("2=tool",))):
        pass
    with closing(Database(folder)) as database:
        reads, reading = [], database.reading
        monkeypatch.setattr(database, "reading", lambda: reads.append(1) or reading())
        assert classes_of(database, model, ("3=vessel",)) == {1: "object", 2: "tool", 3: "vessel"}
        assert len(reads) == 1
        assert labels_of(database, model, ()) == [1, 2, 3]


def test_a_class_cannot_get_another_name_but_classes_can_be_added(model, images, folder):
    with Project(model, [images], folder) as project:
        assert dict(project.classes) == {1: "object"}
    with Project(model, [images], folder, Options(names=("polyp",))) as project:  # nobody named it before
        assert dict(project.classes) == {1: "polyp"}
    with pytest.raises(SettingsError, match=r"--name 1=tool: .*the class 1 is named 'polyp'.* give 1=polyp"):
        Project(model, [images], folder, Options(names=("1=tool",)))
    with Project(model, [images], folder, Options(names=("2=tool",))) as project:
        assert dict(project.classes) == {1: "polyp", 2: "tool"}


def test_masks_become_label_maps_when_a_class_is_added(model, images, folder):
    """Otherwise 255 would be a third class in training."""
    with Project(model, [images], folder) as project:
        for image in (1, 3):
            accept_an_object_of(project, 1, image, seed=image)
    assert values_of(folder) == values_of(folder, "2") == [0, 255]
    listed = (folder / "manifest.csv").read_text()
    only = images.parent / "images/0.png"  # the other one is not given again
    with Project(model, [only], folder, Options(names=("2=tool",))):
        pass
    assert values_of(folder) == values_of(folder, "2") == [0, 1]
    assert (folder / "manifest.csv").read_text().splitlines()[2] == listed.splitlines()[2]  # its split and group stay
    data = Dataset.from_csv(folder / "manifest.csv", classes="all")
    assert [row.class_pixels for row in data.rows] == [((1, 80),)] * 2


def test_projects_of_before_keep_the_classes_of_their_objects(model, images, folder):
    with Project(model, [images], folder, Options(names=("1=polyp", "2=tool"))) as project:
        accept_an_object_of(project, 2)
        (folder / "masks/0.png").write_bytes((images.parent / "masks/0.png").read_bytes())
        with project.catalogue._database.writing() as connection:
            for step in ("DROP TABLE classes", "ALTER TABLE images DROP COLUMN mask_kind", "DROP TABLE settings",
                         "DROP INDEX contents", "PRAGMA user_version = 3"):  # fmt: skip
                connection.execute(step)
    with Project(model, [images], folder) as project:
        assert dict(project.classes) == {1: "object", 2: "class 2"}
    assert values_of(folder) == [0, 2]  # it was once written as a binary mask


def test_a_label_has_one_name(model, images, folder):
    with pytest.raises(SettingsError, match="--name 1=b: the label 1 has the name 'a' already"):
        Project(model, [images], folder, Options(names=("1=a", "1=b")))
    assert not folder.exists()


@pytest.mark.parametrize("label", [0, 65536, 10**12])
def test_labels_that_masks_cannot_hold_are_refused_before_anything_is_written(model, images, folder, label):
    with pytest.raises(SettingsError, match=f"--name {label}=tool: .* from 1 to 65535"):
        Project(model, [images], folder, Options(names=(f"{label}=tool",)))
    assert not folder.exists()


def test_a_model_of_another_class_than_the_first_proposes_its_own(tiny_sam, images, folder):
    model = model_around(tiny_sam)
    model.model.config = model.model.config.model_copy(update={"reading": make_reading(label=2)})
    with Project(model, [images], folder, Options(names=("1=tool", "2=polyp"))) as project:
        tab = Tab(client_of(project), 1)
        tab.open()
        assert {one["class"] for one in tab.act("propose", slice=0)["changed"]} == {2}
