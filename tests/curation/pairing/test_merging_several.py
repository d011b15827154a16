"""Several masks of one image: one mask, classes or instances, as pictures and as volumes."""

import json

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.curation.pairing import merging, merging_volumes
from promise_seg.curation.pairing.folders import pair_folder
from promise_seg.curation.pairing.merging import merge_objects
from promise_seg.errors import ManifestError, PromiseError
from promise_seg.images.readers import read_labels
from promise_seg.vocabulary import Several
from tests.files import write_nifti


def save(path, *corner):
    mask = np.zeros((6, 8), np.uint8)
    if corner:
        mask[corner[0] : corner[0] + 2, corner[1] : corner[1] + 2] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def merge(folder, several=Several.AUTO):
    return merge_objects(pair_folder(folder).pairs, folder, folder.parent / "merged", several=several)


@pytest.mark.parametrize(("several", "values"), [("auto", (255, 255)), ("instances", (1, 2))])
def test_numbered_masks_become_one_or_instances(tmp_path, several, values):
    folder = tmp_path / "data"
    for name, corner in (("b (4)", ()), ("b (4)_mask", (0, 0)), ("b (4)_mask_1", (3, 3))):
        save(folder / f"{name}.png", *corner)
    done = merge(folder, Several(several))
    labels = read_labels(tmp_path / "merged/b (4).png")
    assert (int(labels[0, 0]), int(labels[3, 3])) == values
    assert np.count_nonzero(labels) == 8
    assert (done.made, done.kept) == (1, 0)
    assert merge(folder, Several(several)).kept == 1


def test_classes_have_one_number_in_all_images_and_are_written_down(tmp_path):
    folder = tmp_path / "data"
    for name, corner in (("images/a", ()), ("images/b", ()), ("masks/a_liver", (0, 0)), ("masks/a_fat", (3, 3)),
                         ("masks/b_liver", (1, 1))):  # fmt: skip
        save(folder / f"{name}.png", *corner)
    done = merge(folder)
    assert done.classes == ["fat", "liver"]
    assert json.loads((tmp_path / "merged/classes.json").read_text()) == {"fat": 1, "liver": 2}
    a, b = (read_labels(tmp_path / f"merged/images/{name}.png") for name in "ab")
    assert (int(a[0, 0]), int(a[3, 3]), int(b[1, 1])) == (2, 1, 2)


def volumes(folder, **more):
    affine = np.diag([0.8, 0.7, 3.0, 1.0])
    write_nifti(folder / "s1/ct.nii.gz", np.zeros((4, 5, 3), np.int16), affine)
    for number, name in enumerate(("liver", "spleen")):
        mask = np.zeros((4, 5, 3), np.uint8)
        mask[number, 1, 2] = 1
        write_nifti(folder / f"s1/segmentations/{name}.nii.gz", mask, more.get(name, affine))
    return affine


def test_organs_of_a_volume_become_one_label_map_at_its_place(tmp_path):
    affine = volumes(tmp_path / "data")
    assert merge(tmp_path / "data").made == 1
    merged = nib.load(tmp_path / "merged/s1/ct.nii.gz")
    np.testing.assert_allclose(merged.affine, affine)
    values = np.asanyarray(merged.dataobj)
    assert (values[0, 1, 2], values[1, 1, 2], np.count_nonzero(values)) == (1, 2, 2)
    assert merge(tmp_path / "data").kept == 1


def test_an_organ_at_another_place_is_left_out_and_others_files_are_kept(tmp_path):
    volumes(tmp_path / "data", spleen=np.eye(4))
    with pytest.raises(ManifestError, match=r"spleen\.nii\.gz: differs from .* in size or position"):
        merge(tmp_path / "data")
    volumes(tmp_path / "data")
    write_nifti(tmp_path / "merged/s1/ct.nii.gz", np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(PromiseError, match="is not a merged mask of promise data make"):
        merge(tmp_path / "data")


def test_a_mask_that_is_nan_everywhere_is_refused(tmp_path):
    """NaN is not 0, so that the class would cover the whole image."""
    affine = volumes(tmp_path / "data")
    write_nifti(tmp_path / "data/s1/segmentations/spleen.nii.gz", np.full((4, 5, 3), np.nan, np.float32), affine)
    with pytest.raises(ManifestError, match=r"spleen\.nii\.gz: has 60 values that are not a number \(NaN\)"):
        merge(tmp_path / "data")
    save(tmp_path / "more/images/a.png")
    save(tmp_path / "more/masks/a_fat.png", 0, 0)
    tifffile.imwrite(tmp_path / "more/masks/a_liver.tif", np.full((6, 8), np.nan, np.float32))
    with pytest.raises(ManifestError, match=r"a_liver\.tif: has 48 values that are not a number \(NaN\)"):
        merge(tmp_path / "more")


def write_as_earlier_versions(folder, monkeypatch):
    """Merge with the key of versions that merged NaN as foreground."""
    keys = merging._keys
    with monkeypatch.context() as patched:
        patched.setattr(merging, "_keys", lambda pair, done: keys(pair, done)[1:] * 2)
        patched.setattr(merging, "refuse_nan", lambda labels, path: None)
        patched.setattr(merging_volumes, "refuse_nan", lambda labels, path: None)
        assert merge(folder).made == 1


@pytest.mark.parametrize("is_volume", [False, True])
@pytest.mark.parametrize("value", [1, np.nan])
def test_maps_of_earlier_versions_with_nan_as_foreground_are_not_reused(value, is_volume, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    if is_volume:
        affine, mask = volumes(folder), np.zeros((4, 5, 3), np.float32)
        mask[0, 1, 2] = value
        write_nifti(folder / "s1/segmentations/liver.nii.gz", mask, affine)
    else:
        save(folder / "images/a.png")
        save(folder / "masks/a_fat.png", 0, 0)
        mask = np.zeros((6, 8), np.float32)
        mask[3, 3] = value
        tifffile.imwrite(folder / "masks/a_liver.tif", mask)
    write_as_earlier_versions(folder, monkeypatch)
    pairs = pair_folder(folder).pairs
    existing = merge_objects(pairs, folder, tmp_path / "merged", writing=False)
    if value == 1:
        assert (existing.kept, existing.problems) == (1, [])
        assert merge(folder).made == 1
        assert merge(folder).kept == 1
    else:
        assert "not a number (NaN)" in existing.problems[0]
        with pytest.raises(ManifestError, match=r"values that are not a number \(NaN\)"):
            merge(folder)


def test_maps_of_pictures_by_earlier_versions_are_reused(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    for name, corner in (("images/a", ()), ("masks/a_liver", (0, 0)), ("masks/a_fat", (3, 3))):
        save(folder / f"{name}.png", *corner)
    write_as_earlier_versions(folder, monkeypatch)
    assert merge(folder).kept == 1


def test_masks_of_the_second_version_of_nifti_are_merged(tmp_path):
    """They were once said to be damaged."""
    folder, affine = tmp_path / "data", np.diag([-2.0, -3.0, 4.0, 1.0])
    write_nifti(folder / "images/p1.nii.gz", np.zeros((4, 5, 3), np.int16), affine)
    for number, name in enumerate(("liver", "spleen")):
        mask = np.zeros((4, 5, 3), np.uint8)
        mask[number] = 1
        (folder / f"labels/{name}").mkdir(parents=True)
        nib.save(nib.Nifti2Image(mask, affine), folder / f"labels/{name}/p1.nii.gz")
    merge(folder)
    merged = nib.load(tmp_path / "merged/images/p1.nii.gz")
    np.testing.assert_allclose(merged.affine, affine)
    assert [int(merged.dataobj[number, 0, 0]) for number in range(3)] == [1, 2, 0]
    assert merge(folder).kept == 1
