"""Each naming scheme as it lies on a disk. Files are empty: names decide."""

import json

import pytest

from promise_seg.curation.pairing.folders import pair_by_patterns, pair_folder
from promise_seg.errors import ManifestError, SettingsError

SCHEMES = {
    "brats": (["B_1/B_1_flair.nii", "B_1/B_1_t1.nii", "B_1/B_1_seg.nii"], {"B_1/B_1_flair.nii": "B_1/B_1_seg.nii"}),
    "brats 2023": (
        ["G-0/G-0-t2f.nii.gz", "G-0/G-0-t1c.nii.gz", "G-0/G-0-seg.nii.gz"],
        {"G-0/G-0-t2f.nii.gz": "G-0/G-0-seg.nii.gz"},
    ),
    "kits": (
        ["case_1/imaging.nii.gz", "case_1/segmentation.nii.gz"],
        {"case_1/imaging.nii.gz": "case_1/segmentation.nii.gz"},
    ),
    "lits": (
        ["pt1/volume-0.nii", "pt2/volume-10.nii", "seg/segmentation-0.nii", "seg/segmentation-10.nii"],
        {"pt1/volume-0.nii": "seg/segmentation-0.nii", "pt2/volume-10.nii": "seg/segmentation-10.nii"},
    ),
    "chaos mr": (
        ["MR/1/T1DUAL/DICOM_anon/InPhase/IMG-2.png", "MR/1/T1DUAL/DICOM_anon/OutPhase/IMG-1.png",
         "MR/1/T1DUAL/Ground/IMG-2.png"],
        {"MR/1/T1DUAL/DICOM_anon/InPhase/IMG-2.png": "MR/1/T1DUAL/Ground/IMG-2.png"},
    ),
    "chaos ct": (
        ["CT/5/DICOM_anon/i9.png", "CT/5/DICOM_anon/i10.png", "CT/5/Ground/liver_GT_000.png",
         "CT/5/Ground/liver_GT_001.png"],
        {"CT/5/DICOM_anon/i9.png": "CT/5/Ground/liver_GT_000.png",
         "CT/5/DICOM_anon/i10.png": "CT/5/Ground/liver_GT_001.png"},
    ),
    "voc": (
        ["JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png"],
        {"JPEGImages/a.jpg": "SegmentationClass/a.png"},
    ),
    "camvid": (["train/a.png", "trainannot/a.png"], {"train/a.png": "trainannot/a.png"}),
    "rectlabel": (["a.jpg", "a_all_objects.png"], {"a.jpg": "a_all_objects.png"}),
    "qupath": (
        ["s.svs [x=0,y=0,w=8,h=6].tif", "s.svs [x=0,y=0,w=8,h=6]-labelled.png"],
        {"s.svs [x=0,y=0,w=8,h=6].tif": "s.svs [x=0,y=0,w=8,h=6]-labelled.png"},
    ),
    "cellpose": (["1_img.tif", "1_masks.tif"], {"1_img.tif": "1_masks.tif"}),
    "cellpose of its window": (["1.tif", "1_cp_masks.png"], {"1.tif": "1_cp_masks.png"}),
    "glas": (["testA_1.bmp", "testA_1_anno.bmp"], {"testA_1.bmp": "testA_1_anno.bmp"}),
    "carvana": (["train/1.jpg", "train_masks/1_mask.gif"], {"train/1.jpg": "train_masks/1_mask.gif"}),
    "bids": (
        ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz",
         "derivatives/x/sub-01/anat/sub-01_desc-lesion_mask.nii.gz"],
        {"sub-01/anat/sub-01_T1w.nii.gz": "derivatives/x/sub-01/anat/sub-01_desc-lesion_mask.nii.gz"},
    ),
    "atlas": (
        ["sub-1/sub-1_ses-1_space-M_T1w.nii.gz", "sub-1/sub-1_ses-1_space-M_label-L_desc-T1lesion_mask.nii.gz"],
        {"sub-1/sub-1_ses-1_space-M_T1w.nii.gz": "sub-1/sub-1_ses-1_space-M_label-L_desc-T1lesion_mask.nii.gz"},
    ),
    "one class": (
        ["images/a.png", "images/b.png", "masks/a_polyp.png", "masks/b_polyp.png"],
        {"images/a.png": "masks/a_polyp.png", "images/b.png": "masks/b_polyp.png"},
    ),
}  # fmt: skip


@pytest.fixture
def lay(tmp_path):
    def files(*names):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "data"

    return files


def paired(pairing):
    return {
        pair.image.relative_to(pairing.folder).as_posix(): pair.mask.relative_to(pairing.folder).as_posix()
        for pair in pairing.pairs
    }


def parts(pairing):
    return {
        pair.image.name: dict(zip([p.name for p in pair.objects], pair.parts, strict=True)) for pair in pairing.pairs
    }


@pytest.mark.parametrize("name", SCHEMES)
def test_usual_names_need_no_options(lay, name):
    files, expected = SCHEMES[name]
    assert paired(pair_folder(lay(*files))) == expected


def test_every_file_of_a_scheme_is_accounted_for(lay):
    found = pair_folder(lay(*SCHEMES["brats"][0], "B_1/odd.nii", "B_1/a.mha"))
    remarks = "\n".join(found.remarks())
    for name in ("B_1/B_1_t1.nii", "B_1/odd.nii", "B_1/a.mha"):
        assert name in remarks


def test_groups_and_splits_that_names_tell(lay):
    found = pair_folder(lay("A/case_1/imaging.nii", "A/case_1/segmentation.nii"))
    assert [pair.group for pair in found.pairs] == ["case_1"]
    found = pair_folder(
        lay("../two/train/1.png", "../two/trainannot/1.png", "../two/test/2.png", "../two/testannot/2.png").parent
        / "two"
    )
    assert {(pair.image.name, pair.split) for pair in found.pairs} == {("1.png", "train"), ("2.png", "test")}


def test_a_file_for_each_organ_becomes_a_class(lay):
    found = pair_folder(lay("s0001/ct.nii.gz", "s0001/segmentations/liver.nii.gz", "s0001/segmentations/spleen.nii.gz"))
    assert parts(found) == {"ct.nii.gz": {"liver.nii.gz": "liver", "spleen.nii.gz": "spleen"}}
    assert [pair.group for pair in found.pairs] == ["s0001"]


@pytest.mark.parametrize("form", ["masks/{image}_{name}.png", "masks/{name}/{image}.png"])
def test_masks_of_classes_in_names_or_folders(lay, form):
    masks = [form.format(image=image, name=name) for image in "ab" for name in ("liver", "left_kidney")]
    found = pair_folder(lay("images/a.png", "images/b.png", *masks))
    assert [set(pair.parts) for pair in found.pairs] == [{"liver", "left_kidney"}] * 2


def test_label_studio_by_its_export_and_by_numbers_of_tasks(lay):
    masks = [f"masks/task-{i}-annotation-9-by-1-tag-polyp-0.png" for i in (7, 8)]
    folder = lay("images/a.png", "images/b.png", *masks)
    with pytest.raises(ManifestError, match="no image could be paired"):
        pair_folder(folder)
    tasks = [
        {"id": 7, "data": {"image": "/data/upload/1/b.png"}, "annotations": []},
        {"id": 8, "image": "/data/local-files/?d=x/a.png"},
    ]
    (folder / "project.json").write_text("\ufeff" + json.dumps(tasks))  # as Windows may write it
    found = pair_folder(folder)
    assert paired(found) == {"images/b.png": masks[0], "images/a.png": masks[1]}
    assert found.remarks() == []  # the export was read, not left out


def test_label_studio_by_numbers_says_so(lay):
    found = pair_folder(
        lay(*(n for i in "12" for n in (f"i/x{i}.png", f"m/task-{i}-annotation-4-by-1-tag-polyp-0.png")))
    )
    assert len(found.pairs) == 2
    assert "Check some of the pairs" in found.remarks()[-1]


@pytest.mark.parametrize(
    ("images", "masks", "files", "expected"),
    [
        ("*_photo.jpg", "*_by_anna.png", ["p/1_photo.jpg", "p/1_by_anna.png"], {"p/1_photo.jpg": "p/1_by_anna.png"}),
        ("raw/*.png", "drawn/m*.png", ["raw/7.png", "drawn/m007.png"], {"raw/7.png": "drawn/m007.png"}),
        ("{case}/{n}.png", "truth/{n}/{case}.png", ["c/1.png", "truth/1/c.png"], {"c/1.png": "truth/1/c.png"}),
        ("**/ct.nii", "**/truth.nii", ["a/b/ct.nii", "a/b/truth.nii"], {"a/b/ct.nii": "a/b/truth.nii"}),
    ],
)  # fmt: skip
def test_patterns_of_the_user(lay, images, masks, files, expected):
    assert paired(pair_by_patterns(lay(*files), images, masks)) == expected


def test_a_wildcard_more_tells_masks_apart(lay):
    folder = lay("1/ct.nii", "1/organs/liver.nii", "1/organs/spleen.nii", "b (4).png", "b (4)_m.png", "b (4)_m_1.png")
    assert parts(pair_by_patterns(folder, "*/ct.nii", "*/organs/*.nii")) == {
        "ct.nii": {"liver.nii": "liver", "spleen.nii": "spleen"}
    }
    found = pair_by_patterns(folder, "b (*).png", "b (*)_m*.png")
    assert parts(found) == {"b (4).png": {"b (4)_m.png": "", "b (4)_m_1.png": "1"}}


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ("a.png", "b.png", "has no wildcards"),
        ("*/*.png", "*_m.png", "has fewer wildcards"),
        ("{a}.png", "{b}_m.png", "shares no field with it"),
        ("{a b}.png", "{a}_m.png", "is not a field"),
        ("*.png", "*.PNG", "both patterns are the same"),
    ],
)
def test_patterns_that_cannot_work(lay, images, masks, message):
    with pytest.raises(SettingsError, match=message):
        pair_by_patterns(lay("a.png"), images, masks)


def test_patterns_that_find_nothing(lay):
    with pytest.raises(ManifestError, match=r"no image could be paired with a mask: 1 image\(s\) without mask: a\.jpg"):
        pair_by_patterns(lay("a.jpg"), "*.jpg", "*.png")
