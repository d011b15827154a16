"""All objects of accepted images as a COCO file."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.annotator.project import Options, Project
from promise_seg.curation.annotations.importing import import_annotations
from promise_seg.dataset.dataset import Dataset
from tests.annotator.helpers import API, Tab, accept_with_two_objects, bits_of, client_of, mask_of
from tests.files import decode_rle, write_series


def test_coco_has_each_object_apart(client, folder):
    tab = accept_with_two_objects(client)
    answer = client.post(f"{API}/export", json={"format": "coco"})
    assert answer.json() == {"file": "exports/coco.json", "images": 3, "slices": 3, "objects": 6}
    content = json.loads((folder / "exports/coco.json").read_text())
    assert content["categories"] == [{"id": 1, "name": "object"}]
    last = content["annotations"][-1]
    mask = mask_of(tab.objects[2])
    assert np.array_equal(decode_rle(last["segmentation"]), mask)
    assert last["area"] == mask.sum()
    assert last["bbox"] == tab.objects[2]["mask"]["box"]


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
    content = json.loads((folder / "exports/coco.json").read_text())
    assert {one["file_name"].count("#"): one.get("axis") for one in content["images"]} == {0: None, 1: "auto"}
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
