import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.volume_slices import volumes_of
from promise_seg.dataset.checks import CheckedRow, check_rows, data_sha256
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import read_manifest, split_off_validation
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.images.reading import NO_OPTIONS, make_reading
from promise_seg.vocabulary import Axis, MaskKind
from tests.files import write_series


@pytest.fixture
def without_val(manifest):
    manifest.write_text(manifest.read_text().replace(",val,", ",train,"))
    return manifest


@pytest.fixture
def label_maps(manifest):
    for path in (manifest.parent / "masks").iterdir():
        mask = np.zeros((30, 40), np.uint8)
        mask[5:15, 5:15], mask[20:25, 20:30] = 1, 3
        Image.fromarray(mask).save(path)
    return manifest


def test_a_data_set_is_its_checked_rows_and_their_splits(manifest):
    told = []
    data = Dataset.from_csv(manifest, progress=lambda *facts: told.append(facts))
    assert list(data) == check_rows(read_manifest(manifest))
    assert isinstance(data[0], CheckedRow)
    assert [len(part) for part in (data.train, data.val, data.test, data.of_split("all"))] == [6, 2, 2, 10]
    assert len(data) == 10
    assert repr(data) == f"Dataset({str(manifest)!r}: 6 train, 2 val, 2 test; 5 groups)"
    assert data.sha256 == data_sha256(data.rows)
    assert told[-1] == ("checking", 10, 10, "")
    assert (data.warnings, data.val_share, data.options, data.classes) == ((), None, NO_OPTIONS, ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.val_share = 0.5


def test_how_files_are_read_is_said_once_and_taken_from_elsewhere_where_it_is_not(manifest):
    like = make_reading(window="percentile", axis="axial")
    data = Dataset.from_csv(manifest, window="own", channel="red", crop_border=True, like=like)
    assert (str(data.reading.window), data.reading.axis, data.reading.crop_border) == ("own", Axis.AXIAL, True)
    assert data.reading.channel == "red"
    assert all(row.reading is data.reading for row in data)
    assert data.options.arguments == ["--window", "own", "--channel", "red", "--crop-border"]
    with pytest.raises(SettingsError, match="--class and --instances"):
        Dataset.from_csv(manifest, classes=1, instances=True)


def test_rows_of_one_split_alone(manifest):
    (manifest.parent / "images/0.png").unlink()  # a train image, which nobody asked for
    assert len(Dataset.from_csv(manifest, split="test")) == 2
    assert len(Dataset.from_csv(manifest, split=("val", "test"))) == 4
    manifest.write_text("\n".join(line for line in manifest.read_text().splitlines() if ",test," not in line))
    with pytest.raises(ManifestError, match="no test rows"):
        Dataset.from_csv(manifest, split="test")


def test_validation_rows_are_split_off_before_or_after_alike(without_val):
    rows = split_off_validation(read_manifest(without_val), share=0.3, seed=4)
    at_once = Dataset.from_csv(without_val, val_share=0.3, seed=4)
    later = Dataset.from_csv(without_val).with_validation(0.3, seed=4)
    assert [row.row.split for row in at_once] == [row.row.split for row in later] == [row.split for row in rows]
    assert at_once.val_share == later.val_share == 0.3
    assert later.sha256 == at_once.sha256
    assert later.with_validation(0.5) is later  # it has some


def test_an_image_twice_must_not_come_to_both_sides(without_val):
    images = without_val.parent / "images"
    for number in range(7):
        images.joinpath(f"{number}.png").write_bytes(images.joinpath("7.png").read_bytes())
    with pytest.raises(ManifestError, match="is also in val"):
        Dataset.from_csv(without_val).with_validation()


def test_classes_of_label_maps(label_maps):
    data = Dataset.from_csv(label_maps, classes="all")
    assert (data.classes, data.is_of_several_classes, data.wanted_classes) == ((1, 3), True, None)
    third = data.of_class(3)
    assert (third.reading.masks, third.reading.label) == (MaskKind.CLASSES, 3)
    assert [row.foreground_pixels for row in third] == [50] * 10
    assert list(third) == list(Dataset.from_csv(label_maps, classes=3))
    assert not third.is_of_several_classes
    assert Dataset.from_csv(label_maps, classes=[3, 1]).wanted_classes == (1, 3)


def test_a_warning_of_divided_groups(manifest):
    manifest.write_text(re.sub(r",g\d", ",video", manifest.read_text()))
    (warning,) = Dataset.from_csv(manifest).warnings
    assert "group(s) have rows in train and in another split" in warning


def test_a_warning_of_groups_in_val_and_test(manifest):
    manifest.write_text(manifest.read_text().replace(",test,masks/8.png,g4", ",test,masks/8.png,g3"))
    (warning,) = Dataset.from_csv(manifest).warnings
    assert re.search(
        r"1 group\(s\) have rows in val and in test, for example 'g3'; training chooses .* optimis", warning
    )
    manifest.write_text(manifest.read_text().replace(",val,", ",train,", 1))
    (warning,) = Dataset.from_csv(manifest).warnings
    assert "1 group(s) have rows in train and in another split, for example 'g3'" in warning


@pytest.fixture
def patients(tmp_path):
    """Four patients, two of whom are test rows; each has three slices in separate files, and there are no groups."""
    lines = ["image_name,train_type,mask_name"]
    rng = np.random.default_rng(0)
    for patient in range(4):
        values = rng.integers(0, 400, (3, 12, 10)).astype(np.int16)
        folder = write_series(tmp_path / f"p{patient}", values, PatientID=f"P{patient}")
        for path in sorted(folder.iterdir()):
            mask = tmp_path / f"{folder.name}-{path.name}.png"
            Image.fromarray((rng.random((12, 10)) > 0.5).astype(np.uint8) * 255).save(mask)
            lines.append(f"{folder.name}/{path.name},{'train' if patient < 2 else 'test'},{mask.name}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "m.csv"


def patients_of(rows):
    return {row.row.image.parent.name for row in rows}


def test_validation_rows_are_whole_patients_of_dicom_files(patients):
    at_once, later = Dataset.from_csv(patients, val_share=0.15), Dataset.from_csv(patients).with_validation(0.15)
    for data in (at_once, later):
        assert (len(data.train), len(data.val), len(data.groups)) == (3, 3, 4)
        assert not patients_of(data.train) & patients_of(data.val)
        assert data.warnings == ()
        (note,) = data.notes
        assert note.endswith("that their DICOM files name (12 rows in 4 groups)")
    test = Dataset.from_csv(patients, split="test")
    assert test.groups == tuple(dict.fromkeys(row.row.group for row in at_once.test))
    (volume, *others) = volumes_of(test.rows)[0]
    assert (volume.group, len(others)) == (test[0].row.group, 1)  # the same for slices and volumes


def test_a_patient_in_two_splits_is_a_divided_group(patients):
    patients.write_text(patients.read_text().replace(",train,", ",val,", 1))
    (warning,) = Dataset.from_csv(patients).warnings
    assert "1 group(s) have rows in train and in another split, for example 'patient " in warning


def test_the_column_group_overrides_patients(patients):
    header, *lines = patients.read_text().splitlines()
    patients.write_text("\n".join([f"{header},group", *(f"{line},g{n}" for n, line in enumerate(lines))]))
    data = Dataset.from_csv(patients, val_share=0.15)
    assert (len(data.groups), data.notes) == (12, ())


def test_one_patient_is_not_divided(patients):
    text = "\n".join(line for line in patients.read_text().splitlines() if "p1/" not in line)
    patients.write_text(text)
    with pytest.raises(ManifestError, match=r"groups of train rows \(1, by the patients that their DICOM files name\)"):
        Dataset.from_csv(patients, val_share=0.15)


def test_val_rows_of_earlier_versions_can_still_be_taken(patients):
    data = Dataset.from_csv(patients, val_share=0.4, seed=3).with_validation_by_image(3)
    before = split_off_validation(read_manifest(patients), share=0.4, seed=3)
    assert [row.row.split for row in data] == [row.split for row in before]
    assert len(data.groups) == 4


def test_a_warning_of_test_images_on_which_training_would_choose(manifest):
    lines = manifest.read_text().splitlines()
    val = next(line for line in lines if ",val," in line)
    manifest.write_text("\n".join([*lines, val.replace(",val,", ",test,")]))
    warning, of_group = Dataset.from_csv(manifest).warnings
    assert of_group.startswith("1 group(s) have rows in val and in test, for example ")
    number = lines.index(val) + 1
    assert re.search(
        rf"1 test image\(s\) are also in val, .*:{len(lines) + 1} and \S+:{number}\).* too optimistic", warning
    )


def test_channels_that_are_left_out_are_said_until_some_are_chosen(manifest):
    for path in sorted((manifest.parent / "images").iterdir()):
        plane = np.asarray(Image.open(path))[..., 0]
        Image.fromarray(plane).save(path.with_name(f"{path.stem}_0000.png"))
        Image.fromarray(255 - plane).save(path.with_name(f"{path.stem}_0001.png"))
    manifest.write_text(manifest.read_text().replace(".png,t", "_0000.png,t").replace(".png,v", "_0000.png,v"))
    (warning,) = Dataset.from_csv(manifest).warnings
    assert "images/0_0000.png: is one of 2 channels in files beside each other (0000, 0001), and is read" in warning
    assert "--channels 0000,0001; for this one alone, --channels 0000. The same holds for 9 other image(s)" in warning
    alone, both = (Dataset.from_csv(manifest, channels=channels) for channels in ("0000", ("0001", "0000", "-")))
    assert alone.warnings == both.warnings == ()
    assert np.array_equal(both[0].image()[..., 0], 255 - alone[0].image()[..., 1])
    assert both.options.arguments == ["--channels", "0001,0000,-"]
    assert alone.sha256 != Dataset.from_csv(manifest).sha256 != both.sha256


def test_frames_of_a_video_are_not_called_channels(manifest):
    for path in sorted((manifest.parent / "images").iterdir()):
        path.rename(path.with_name(f"frame_{int(path.stem):04}.png"))
    text = manifest.read_text().replace("images/", "images/frame_000")
    manifest.write_text(text)
    assert Dataset.from_csv(manifest).warnings == ()


@pytest.mark.parametrize("share", [0, 1, -0.5, 2, 15, float("nan")])
def test_a_share_that_is_none_is_refused(without_val, share):
    """With 2, or NaN, all rows but one were once taken to validate on."""
    with pytest.raises(SettingsError, match=r"val_share .*: expected a share between 0 and 1, such as"):
        Dataset.from_csv(without_val, val_share=share)
    with pytest.raises(SettingsError, match="expected a share between 0 and 1"):
        Dataset.from_csv(without_val).with_validation(share)


def test_it_is_refused_too_where_there_are_val_rows(manifest):
    with pytest.raises(SettingsError, match="val_share 15: expected a share between 0 and 1"):
        Dataset.from_csv(manifest, val_share=15)
    with pytest.raises(SettingsError, match="val_share 15: expected a share between 0 and 1"):
        Dataset.from_csv(manifest).with_validation(15)


def test_masks_that_are_no_label_maps_have_no_classes(manifest):
    with pytest.raises(SettingsError, match=r"class 3: the masks were not read as label maps"):
        Dataset.from_csv(manifest).of_class(3)


def test_there_are_no_other_splits(manifest):
    with pytest.raises(SettingsError, match="split 'tests': expected train, val, test or all"):
        Dataset.from_csv(manifest).of_split("tests")


def test_without_train_rows_nothing_is_split_off(manifest):
    manifest.write_text(
        "\n".join(line for line in manifest.read_text().splitlines() if ",test," in line or "_name" in line)
    )
    with pytest.raises(ManifestError, match=r"m.*\.csv: no train rows\. Give some rows the split train"):
        Dataset.from_csv(manifest).with_validation()


def test_rows_that_cannot_be_used_hide_no_problems_of_other_rows(manifest):
    header, first, *others = manifest.read_text().splitlines()
    image, split, _, *rest = first.split(",")
    manifest.write_text("\n".join([header, ",".join((image, split, "", *rest)), *others]) + "\n")
    (manifest.parent / "images/3.png").write_text("no image")
    with pytest.raises(ManifestError) as caught:
        Dataset.from_csv(manifest, val_share=0.2)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 problems:"
    assert lines[1].startswith(f"{manifest}:2: column(s) mask_name are empty")
    assert lines[2].startswith(f"{manifest}:5: ")
    with pytest.raises(ManifestError, match="mask_name are empty") as caught:
        Dataset.from_csv(manifest, split="test")
    assert "problems" not in str(caught.value)
