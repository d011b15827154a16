"""Ten faults, planted in a copy of real data, are found, and nothing else."""

import io
import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.curation.inspection import inspecting
from promise_seg.curation.inspection.findings import Kind, exit_code
from promise_seg.curation.inspection.inspecting import inspect
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import Split
from tests.files import write_dicom, write_nifti, write_series
from tests.helpers import write_dataset


class Copy:
    """A data set of its own, whose rows can be spoilt one by one."""

    def __init__(self, manifest, folder):
        shutil.copytree(manifest.parent, folder)
        self.folder, self.path = folder, folder / manifest.name
        self.lines = [line.split(",") for line in self.path.read_text().splitlines()]
        self.planted = {}

    def row(self, number):
        image, split, mask, group = self.lines[number]
        return self.folder / image, split, self.folder / mask, group

    def add(self, image, split, mask, group):
        self.lines.append([image, split, mask, group])
        return len(self.lines) - 1

    def plant(self, number, kind):
        self.planted[number + 1] = kind

    def write(self):
        self.path.write_text("\n".join(",".join(line) for line in self.lines) + "\n")
        return self.path


def plant_ten(copy):
    rows = {split: [n for n, line in enumerate(copy.lines) if line[1] == split] for split in ("train", "val", "test")}
    train, val, test = rows["train"], rows["val"], rows["test"]

    copy.row(train[3])[0].unlink()
    copy.plant(train[3], Kind.UNREADABLE)

    image = copy.row(train[20])[0]
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 3])
    copy.plant(train[20], Kind.UNREADABLE)

    mask = copy.row(train[40])[2]
    Image.open(mask).resize((200, 150)).save(mask)
    copy.plant(train[40], Kind.SIZE)

    mask = copy.row(train[60])[2]
    grey = io.BytesIO()
    Image.open(mask).convert("L").save(grey, "JPEG", quality=70)
    mask.write_bytes(grey.getvalue())
    copy.plant(train[60], Kind.MASK_VALUES)

    mask = copy.row(val[5])[2]
    Image.fromarray(np.zeros_like(np.asarray(Image.open(mask).convert("L")))).save(mask)
    copy.plant(val[5], Kind.EMPTY_MASK)

    mask = copy.row(test[7])[2]
    inverted = np.full_like(np.asarray(Image.open(mask).convert("L")), 255)
    inverted[:3] = 0
    Image.fromarray(inverted).save(mask)
    copy.plant(test[7], Kind.FULL_MASK)

    mask = copy.row(train[80])[2]
    speck = np.zeros_like(np.asarray(Image.open(mask).convert("L")))
    speck[100:103, 100:103] = 255
    Image.fromarray(speck).save(mask)
    copy.plant(train[80], Kind.TINY_OBJECT)

    shutil.copy(copy.row(test[11])[0], copy.folder / "images/again.jpg")
    copy.plant(copy.add("images/again.jpg", "train", copy.lines[test[11]][2], "again"), Kind.LEAK)

    picture = Image.open(copy.row(train[200])[0])
    small = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.BILINEAR)
    small.save(copy.folder / "images/like.jpg", quality=60)
    Image.fromarray(np.tri(small.height, small.width, dtype=np.uint8) * 255).save(copy.folder / "masks/like.png")
    copy.plant(copy.add("images/like.jpg", "test", "masks/like.png", "like"), Kind.NEAR_DUPLICATE)

    group = copy.lines[val[20]][3]
    copy.lines[val[20]][1] = "train"
    first = next(n for n, line in enumerate(copy.lines) if line[3] == group)
    copy.plant(first, Kind.DIVIDED_GROUP)


def found_in(inspection):
    return {int(f.where.rpartition(":")[2]): f.kind for f in inspection.findings}


@pytest.mark.slow
def test_ten_planted_faults_are_found_and_nothing_else(polyp_manifest, tmp_path):
    copy = Copy(polyp_manifest, tmp_path / "polyp")
    assert inspect(copy.path).findings == ()
    plant_ten(copy)
    inspection = inspect(copy.write())
    assert len(copy.planted) == 10
    assert len(inspection.findings) == 10
    assert found_in(inspection) == copy.planted
    assert exit_code(inspection.findings) == 2


@pytest.fixture
def drawn(tmp_path):
    return write_dataset(tmp_path / "data")


def kinds(manifest, reading=None):
    return [f.kind for f in inspect(manifest, reading).findings]


def test_a_sound_data_set_has_no_findings(drawn):
    inspection = inspect(drawn)
    assert inspection.findings == ()
    train = inspection.summary[Split.TRAIN].as_json()
    assert (train["images"], train["groups"], train["empty_masks"]) == (6, 3, 0)
    assert train["sizes"] == {"40 x 30": 6}
    assert 0 < train["object_share"][0] < train["object_share"][4] < 1
    assert exit_code(inspection.findings) == 0


def test_rows_that_cannot_be_read_do_not_hide_other_faults(drawn):
    text = drawn.read_text().replace("images/0.png,train", "images/0.png,trian")
    drawn.write_text(text)
    (drawn.parent / "images/4.png").write_text("no image")
    inspection = inspect(drawn)
    assert found_in(inspection) == {2: Kind.MANIFEST, 6: Kind.UNREADABLE}


def test_pictures_that_show_nothing_and_other_depths(drawn):
    Image.fromarray(np.full((30, 40, 3), 77, np.uint8)).save(drawn.parent / "images/1.png")
    deep = np.random.default_rng(0).integers(0, 4000, (30, 40)).astype(np.uint16)
    Image.fromarray(deep).save(drawn.parent / "images/2.png")
    assert found_in(inspect(drawn)) == {3: Kind.NO_CONTRAST, 4: Kind.DEPTH}


def test_dark_images_that_are_learned_from(drawn):
    for number in range(8):
        path = drawn.parent / f"images/{number}.png"
        Image.fromarray(np.asarray(Image.open(path)) // 5).save(path)
    (finding,) = inspect(drawn).findings
    assert finding.kind == Kind.LOW_CONTRAST
    assert "--window percentile" in finding.message
    drawn.write_text(drawn.read_text().replace(",train,", ",test,").replace(",val,", ",test,"))
    assert Kind.LOW_CONTRAST not in kinds(drawn), "no window is chosen by what test images show"
    stretched = make_reading(window="percentile")
    drawn.write_text(drawn.read_text().replace(",test,", ",train,"))
    assert Kind.LOW_CONTRAST not in kinds(drawn, stretched)


def test_masks_of_one_in_some_files_and_two_in_others(drawn):
    for number, value in ((0, 1), (1, 2), (2, 2)):
        path = drawn.parent / f"masks/{number}.png"
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8) * value).save(path)
    (finding,) = inspect(drawn).findings
    assert finding.kind == Kind.VALUES_DIFFER
    assert "1 in 1, 2 in 2, 255 in 7" in finding.message


def test_copies_in_one_split_are_a_warning_and_missing_splits_too(drawn):
    shutil.copy(drawn.parent / "images/0.png", drawn.parent / "images/3.png")
    drawn.write_text(drawn.read_text().replace(",test,", ",val,"))
    assert set(kinds(drawn)) == {Kind.DUPLICATE, Kind.SPLITS}
    assert exit_code(inspect(drawn).findings) == 1


@pytest.mark.parametrize(("copies", "said"), [("masks", "with the same mask"), ("", "with a different mask: training")])
def test_of_an_image_that_is_there_twice_it_is_said_whether_its_masks_agree(drawn, copies, said):
    for folder in ("images", copies) if copies else ("images",):
        shutil.copy(drawn.parent / folder / "0.png", drawn.parent / folder / "3.png")
    (message,) = (one.message for one in inspect(drawn).findings if one.kind == Kind.DUPLICATE)
    assert said in message


def test_classes(drawn, capsys):
    labels = np.zeros((30, 40), np.uint8)
    labels[5:20, 5:20], labels[22:28, 22:28] = 1, 2
    for path in (drawn.parent / "masks").iterdir():
        Image.fromarray(labels).save(path)
    inspection = inspect(drawn, make_reading(label="all"))
    assert inspection.summary[Split.TEST].as_json()["classes"] == {"1": 2, "2": 2}
    assert kinds(drawn, make_reading(label="5")) == [Kind.CLASS_MISSING]
    assert main(["data", "check", str(drawn), "--class", "all"]) == 0
    assert "1 in 6, 2 in 6" in capsys.readouterr().out


def test_blank_slices_of_a_volume_are_not_told_one_by_one(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["image_name,train_type,mask_name"]
    for name, split in (("a", "train"), ("b", "test"), ("c", "test")):
        image, mask = np.zeros((20, 20, 6), np.int16), np.zeros((20, 20, 6), np.uint8)
        image[..., 2:4] = rng.integers(0, 999, (20, 20, 2))
        mask[5:15, 5:15, 3] = name != "c"
        write_nifti(tmp_path / f"{name}.nii", image)
        write_nifti(tmp_path / f"{name}_m.nii", mask)
        lines.append(f"{name}.nii,{split},{name}_m.nii")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    assert found_in(inspect(tmp_path / "m.csv")) == {4: Kind.EMPTY_MASK}


def stack(path, seed):
    labels = np.zeros((4, 30, 30), np.uint8)
    labels[1:3, 8:20, 9:18] = 1
    values = (labels * 90 + np.random.default_rng(seed).integers(0, 90, labels.shape)).astype(np.uint8)
    for name, pixels in ((f"{path}.tif", values), (f"{path}_mask.tif", labels)):
        tifffile.imwrite(name, pixels, photometric="minisblack")


def by_number(manifest):
    return [finding for finding in inspect(manifest).findings if finding.kind == Kind.MATCHED_BY_NUMBER]


def test_slices_that_only_their_number_pairs_are_said_once(tmp_path):
    for number in range(3):
        stack(tmp_path / str(number), number)
    rows = [f"{i}.tif,{split},{i}_mask.tif" for i, split in enumerate(("train", "train", "test"))]
    (tmp_path / "m.csv").write_text("\n".join(["image_name,train_type,mask_name", *rows]) + "\n")
    (finding,) = by_number(tmp_path / "m.csv")
    assert finding.where == f"{tmp_path}/m.csv:2"
    assert finding.message.startswith(
        f"{tmp_path}/0_mask.tif: has no slice positions, and neither has its image, so they were matched by "
        "number only. The same holds for 2 other row(s). Look whether they fit"
    )
    assert finding.severity == "warning"


def test_an_uneven_series_whose_mask_states_one_distance_is_paired_by_number(tmp_path):
    """But a mask that has the lost slice is paired by place, and so is one of a whole series."""
    labels = np.zeros((5, 12, 10), np.uint8)
    labels[1:4, 3:8, 2:7] = 1
    places = np.array([[-0.8, 0, 0, 10], [0, -0.5, 0, 20], [0, 0, 2.0, 30], [0, 0, 0, 1]])
    write_series(tmp_path / "whole", (labels * 50 + 3).astype(np.int16))
    (write_series(tmp_path / "lost", (labels * 60 + 2).astype(np.int16)) / "slice003").unlink()
    write_nifti(tmp_path / "all.nii", np.ascontiguousarray(labels.T), places)
    write_nifti(tmp_path / "four.nii", np.ascontiguousarray(labels[[0, 1, 3, 4]].T), places)
    for mask, count in (("all.nii", 0), ("four.nii", 1)):
        (tmp_path / "m.csv").write_text(f"image_name,train_type,mask_name\nwhole,train,all.nii\nlost,test,{mask}\n")
        found = by_number(tmp_path / "m.csv")
        assert len(found) == count
    assert "four.nii: has as many slices as its unevenly stacked image, but states one distance" in found[0].message
    assert found[0].message.endswith("save the mask as a DICOM segmentation, which names the image of each slice")


def test_the_command(drawn, tmp_path, capsys):
    assert main(["data", "check", str(drawn)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(drawn.parent / "masks/1.png")
    assert main(["data", "check", str(drawn), "--json", str(tmp_path / "r.json")]) == 1
    assert "0 error(s), 1 warning(s)" in capsys.readouterr().out
    (drawn.parent / "images/2.png").unlink()
    assert main(["data", "check", str(drawn), "--json", str(tmp_path / "r.json")]) == 2
    findings = json.loads((tmp_path / "r.json").read_text())["findings"]
    assert [f["severity"] for f in findings] == ["warning", "error"]
    assert main(["data", "check", str(tmp_path / "none.csv")]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("RescaleSlope", "0"), ("PixelSpacing", ["0", "0"])])
def test_a_header_that_was_mended_is_a_finding(drawn, name, value):
    folder = drawn.parent
    write_dicom(folder / "images/0.dcm", np.arange(30 * 40, dtype=np.int16).reshape(30, 40), **{name: value})
    drawn.write_text(drawn.read_text().replace("images/0.png", "images/0.dcm"))
    (mended,) = [one for one in inspect(drawn).findings if one.kind == Kind.REPAIRED]
    assert f"images/0.dcm: its {name}" in mended.message


def test_whatever_a_row_runs_into_is_one_finding(drawn, monkeypatch):
    known, calls = inspecting.finite_range, []

    def odd(values):
        calls.append(values)
        return 1 / 0 if len(calls) == 3 else known(values)

    monkeypatch.setattr(inspecting, "finite_range", odd)
    (found,) = inspect(drawn).findings
    assert (found.kind, found.where) == (Kind.UNREADABLE, f"{drawn}:4")
    assert "images/2.png: cannot be read" in found.message
    assert "ZeroDivisionError" in found.message


def test_the_objects_of_instance_maps_are_summarised(drawn, capsys, monkeypatch):
    labels = np.zeros((30, 40), np.uint16)
    labels[2:6, 2:6], labels[10:13, 2:5], labels[20:23, 20:23] = 1, 2, 3
    for path in (drawn.parent / "masks").iterdir():
        Image.fromarray(labels).save(path)
    train = inspect(drawn, make_reading(instances=True)).summary[Split.TRAIN].as_json()
    assert train["objects_per_image"] == [3.0] * 5
    assert train["object_pixels"] == [9, 9, 9, 16, 16]
    monkeypatch.setenv("COLUMNS", "300")
    main(["data", "check", str(drawn), "--instances"])
    head = capsys.readouterr().out
    for words in ("foreground share: least", "image values", "objects per image", "3 ... 3 ... 3", "9 ... 9 ... 16"):
        assert words in head


def test_tables_are_as_wide_as_columns_says(drawn, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    main(["data", "check", str(drawn)])
    assert 60 <= max(map(len, capsys.readouterr().out.splitlines())) <= 70
    monkeypatch.delenv("COLUMNS")
    main(["data", "check", str(drawn)])
    assert 70 < max(map(len, capsys.readouterr().out.splitlines())) <= 200
