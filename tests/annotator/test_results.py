"""What a project leaves: masks, prompts, a manifest to train on, and COCO."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.annotator.project import Options, Project
from promise_seg.annotator.results import Results
from promise_seg.curation.annotations.importing import import_annotations
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import OutputFormat
from tests.annotator.helpers import API, Tab, bits_of, client_of, mask_of, model_around, points
from tests.files import decode_rle, write_series
from tests.helpers import write_dataset

RECTANGLE = (slice(5, 15), slice(10, 30))


def annotate(client, images=(1, 2, 3)):
    for image in images:
        tab = Tab(client, image, seed=image)
        tab.open()
        tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(5, 15), slice(10, 20 + image)))
        tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
        tab.act("accept")
    return tab


def test_accepted_images_are_a_data_set_to_train_on(client, folder, images):
    tab = annotate(client)
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.row.split for row in data.rows] == ["train", "train", "val"]  # as in the manifest of the images
    assert [row.row.group for row in data.rows] == ["g0", "g0", "g1"]
    expected = mask_of(tab.objects[1]) | mask_of(tab.objects[2])
    assert np.array_equal(data.rows[2].mask(), expected)
    assert set(np.unique(np.asarray(Image.open(folder / "masks/2.png")))) <= {0, 255}


def test_the_final_prompts_are_kept(client, folder):
    annotate(client, [1])
    kept = json.loads((folder / "prompts/0.json").read_text())
    assert kept["classes"] == {"1": "object"}
    assert [one["imported"] for one in kept["objects"]] == [True, False]
    assert kept["objects"][1]["points"] == [{"x": 20, "y": 12, "label": 1}]


def test_coco_has_each_object_apart(client, folder):
    tab = annotate(client)
    answer = client.post(f"{API}/export", json={"format": "coco"})
    assert answer.json() == {"file": "exports/coco.json", "images": 3, "slices": 3, "objects": 6}
    content = json.loads((folder / "exports/coco.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "object"}]
    last = content["annotations"][-1]
    mask = mask_of(tab.objects[2])
    assert np.array_equal(decode_rle(last["segmentation"]), mask)
    assert last["area"] == mask.sum()
    assert last["bbox"] == tab.objects[2]["mask"]["box"]


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@SUM(A1)"])
def test_names_that_a_table_would_compute_are_paths(model, images, tmp_path, name):
    """Cells begin with the way to the folder, never with a name."""
    place = tmp_path / "images"
    place.mkdir()
    (images.parent / "images/0.png").rename(place / f"{name}.png")
    with Project(model, [place], tmp_path / "project") as project:
        project.acceptances.results.write_manifest(
            [project.acceptances.results.manifest_entry(project.catalogue.image(1), f"masks/{name}.png", None)]
        )
    row = (tmp_path / "project/manifest.csv").read_text().splitlines()[1]
    assert not [cell for cell in row.split(",") if cell[:1] in "=+-@"]


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


def accept_an_object_of(project, label, image=1, seed=0):
    """Add an object of a class to an image, in rows of its own, and accept the image."""
    tab = Tab(client_of(project), image, seed=seed)
    tab.open()
    tab.act("add", slice=0, **{"class": label}, mask=bits_of(slice(10 * label - 8, 10 * label), slice(0, 10)))
    tab.act("accept")
    return tab


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
            for step in ("DROP TABLE classes", "ALTER TABLE images DROP COLUMN is_binary", "DROP INDEX contents",
                         "PRAGMA user_version = 3"):  # fmt: skip
                connection.execute(step)
    with Project(model, [images], folder) as project:
        assert dict(project.classes) == {1: "object", 2: "class 2"}
    assert values_of(folder) == [0, 2]  # it was once written as a binary mask


def test_a_label_has_one_name(model, images, folder):
    with pytest.raises(SettingsError, match="--name 1=b: the label 1 has the name 'a' already"):
        Project(model, [images], folder, Options(names=("1=a", "1=b")))
    assert not folder.exists()


def test_a_volume_is_one_file_and_the_slices_that_were_looked_at_are_learned_from(model, volume, folder):
    with Project(model, [volume], folder) as project:
        tab = Tab(client_of(project), 1)
        tab.open()
        for index in (1, 2, 4):
            tab.act("add", slice=index, **{"class": 1}, mask=bits_of(*RECTANGLE))
        tab.act("accept")
        answer = tab.http.post(f"{API}/export", json={"format": "coco"}).json()
        assert (answer["images"], answer["slices"], answer["objects"]) == (1, 3, 3)
    written = nib.load(folder / "masks/scan.nii.gz")
    assert written.shape == (40, 30, 5)
    assert np.array_equal(written.affine, nib.load(volume).affine)
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.index for row in data.rows] == [1, 2, 4]
    assert all(row.mask()[RECTANGLE].all() and row.foreground_pixels == 200 for row in data.rows)


def test_a_format_that_cannot_hold_an_image_is_said(client, project, folder):
    project.acceptances.results = Results(folder, project.classes, OutputFormat.NIFTI)
    tab = Tab(client, 1)
    tab.open()
    answer = tab.send({"type": "accept"})
    assert answer.status_code == 422
    assert "Choose another --format" in answer.json()["error"]["message"]
    assert tab.http.get(tab.place).json()["state"] == "open"


@pytest.mark.slow
def test_a_dicom_series_gets_a_dicom_segmentation(model, tmp_path, folder):
    write_series(tmp_path / "series", count=4)
    with Project(model, [tmp_path / "series"], folder) as project:
        tab = Tab(client_of(project), 1)
        assert tab.open().json()["slices"] == 4
        for index in range(4):
            mask = bits_of(slice(2, 8), slice(3, 7), height=12, width=10)
            tab.act("add", slice=index, **{"class": 1}, mask=mask)
        tab.act("accept")
    assert [path.name for path in (folder / "masks").iterdir()] == ["series.dcm"]
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.foreground_pixels for row in data.rows] == [24] * 4


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


def test_files_of_several_channels_are_shown_and_accepted(tiny_sam, folder, tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (30, 40, 3, 5)).astype(np.uint8)
    nib.save(nib.Nifti1Image(values.transpose(1, 0, 2, 3), np.eye(4)), tmp_path / "scan.nii")
    model = model_around(tiny_sam)
    model.model.config = model.model.config.model_copy(update={"reading": make_reading(channels="0,1,2")})
    with Project(model, [tmp_path / "scan.nii"], folder) as project:
        tab = Tab(client_of(project), 1)
        assert tab.open().status_code == 200
        assert tab.http.get(f"{tab.place}/slices/0/pixels").status_code == 200
        tab.act("add", slice=1, **{"class": 1}, mask=bits_of(*RECTANGLE))
        tab.act("accept")
    assert nib.load(folder / "masks/scan.nii.gz").shape == (40, 30, 3)


def test_a_volume_whose_slices_are_of_several_splits_is_refused(model, volume, folder, tmp_path):
    """Its test slices were once learned from, as all of them had the split of the first row."""
    rows = "".join(f"{volume.name},{split},{volume.name},{index}\n" for index, split in enumerate(("train", "test")))
    (tmp_path / "data.csv").write_text(f"image_name,train_type,mask_name,slice\n{rows}")
    with pytest.raises(ManifestError, match=r"data\.csv:3: .*is test here, and train in .*data\.csv:2"):
        Project(model, [tmp_path / "data.csv"], folder)


def accept_one_with_nothing_in_it(project):
    """Accept the first image with an object, and the second with nothing."""
    for number in (1, 2):
        tab = Tab(client_of(project), number, seed=number)
        tab.open()
        if number == 1:
            tab.act("add", slice=0, **{"class": 1}, mask=bits_of(*RECTANGLE))
        tab.act("accept")


def test_an_accepted_picture_with_nothing_in_it_is_listed(model, folder, images):
    """It was once left out of the manifest, unless the model had proposed something: a training never saw it."""
    with Project(model, [images], folder) as project:
        accept_one_with_nothing_in_it(project)
        assert [entry.image for _, entry in project.acceptances.to_learn_from()] == [
            "../data/images/0.png",
            "../data/images/1.png",
        ]
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.foreground_pixels for row in data] == [200, 0]
    assert "slice" not in (folder / "manifest.csv").read_text().splitlines()[0]


def test_projects_of_before_list_it_from_the_next_start_on(model, folder, images):
    with Project(model, [images], folder) as project:
        accept_one_with_nothing_in_it(project)
        with project.catalogue._database.writing() as connection:
            (listed,) = connection.execute("SELECT listed FROM images WHERE id = 2").fetchone()
            listed = json.dumps(json.loads(listed) | {"slices": []})  # as it was once noted
            connection.execute("UPDATE images SET listed = ? WHERE id = 2", (listed,))
    with Project(model, [images], folder) as project:
        tab = Tab(client_of(project), 3, seed=3)
        tab.open()
        tab.act("accept")
    assert [row.foreground_pixels for row in Dataset.from_csv(folder / "manifest.csv")] == [200, 0, 0]


def test_a_volume_that_nobody_looked_into_is_not_learned_from(model, volume, folder):
    with Project(model, [volume], folder) as project:
        tab = Tab(client_of(project), 1)
        tab.open()
        tab.act("accept")
        assert project.acceptances.to_learn_from() == []


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


@pytest.fixture(params=["volume", "series", "pages"])
def stack(request, tmp_path):
    """A volume of five slices, next to a single image."""
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / "in/one.png")
    if request.param == "volume":
        request.getfixturevalue("volume").rename(tmp_path / "in/scan.nii.gz")
    elif request.param == "series":
        write_series(tmp_path / "in/scan", np.zeros((5, 30, 40), np.int16))
    else:
        tifffile.imwrite(tmp_path / "in/scan.tif", np.zeros((5, 30, 40), np.uint8), photometric="minisblack")
    return tmp_path / "in"


def test_coco_is_imported_as_the_same_masks(model, stack, folder, tmp_path):
    """Volumes too, of which the same slices are used; and where objects overlap, the same ones are on top."""
    with Project(model, [stack], folder, Options(names=("1=polyp", "2=tool"))) as project:
        client = client_of(project)
        for row in project.catalogue.rows():
            tab = Tab(client, row["id"], seed=row["id"])
            tab.open()
            for index in (0,) if row["slices"] == 1 else (1, 2, 4):
                top = tab.act("add", slice=index, **{"class": 1}, mask=bits_of(slice(2, 9), slice(1, 5 + index)))
                tab.act("add", slice=index, **{"class": 2}, mask=bits_of(slice(5, 12), slice(3, 9)))
                if index != 2:
                    tab.act("properties", object=top["changed"][0]["id"], locked=True)
            if row["slices"] > 1:
                tab.act("add", slice=3, **{"class": 1})  # viewed, but empty
            tab.act("accept")
        assert project.export_coco() == {"file": "exports/coco.json", "images": 2, "slices": 5, "objects": 8}
    imported = import_annotations(folder / "exports/coco.json", tmp_path / "m.csv", images=stack)
    assert imported.classes == {"polyp": 1, "tool": 2}
    expected, found = (
        {(row.row.image.name, row.index): row for row in Dataset.from_csv(path, classes="all").rows}
        for path in (folder / "manifest.csv", tmp_path / "m.csv")
    )
    assert len(found) == 5
    assert found.keys() == expected.keys()
    for name, row in found.items():
        assert row.class_pixels == expected[name].class_pixels
        for label in (1, 2):
            masks = [
                next(one for one in Dataset.from_csv(path, classes=str(label)).rows if _name_of(one) == name).mask()
                for path in (folder / "manifest.csv", tmp_path / "m.csv")
            ]
            assert np.array_equal(*masks)


def _name_of(row):
    return row.row.image.name, row.index
