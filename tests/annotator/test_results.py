"""What a project leaves of accepted images: masks, prompts, and a manifest to train on."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator.project import Project
from promise_seg.annotator.results import Results
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import ManifestError
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import OutputFormat
from tests.annotator.helpers import (
    API,
    Tab,
    accept_one_with_nothing_in_it,
    accept_with_two_objects,
    bits_of,
    client_of,
    mask_of,
    model_around,
)
from tests.files import write_series

RECTANGLE = (slice(5, 15), slice(10, 30))


def test_accepted_images_are_a_data_set_to_train_on(client, folder, images):
    tab = accept_with_two_objects(client)
    data = Dataset.from_csv(folder / "manifest.csv")
    assert [row.row.split for row in data.rows] == ["train", "train", "val"]  # as in the manifest of the images
    assert [row.row.group for row in data.rows] == ["g0", "g0", "g1"]
    expected = mask_of(tab.objects[1]) | mask_of(tab.objects[2])
    assert np.array_equal(data.rows[2].mask(), expected)
    assert set(np.unique(np.asarray(Image.open(folder / "masks/2.png")))) <= {0, 255}


def test_the_final_prompts_are_kept(client, folder):
    accept_with_two_objects(client, [1])
    kept = json.loads((folder / "prompts/0.json").read_text())
    assert kept["classes"] == {"1": "object"}
    assert [one["imported"] for one in kept["objects"]] == [True, False]
    assert kept["objects"][1]["points"] == [{"x": 20, "y": 12, "label": 1}]


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
