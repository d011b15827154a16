import re
import shutil

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from promise_seg.dataset import checks
from promise_seg.dataset.checks import check_row, check_rows, classes_of, mended_warnings
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.manifest import Row, read_manifest
from promise_seg.errors import ManifestError
from promise_seg.images import readers
from promise_seg.images.geometry import Box
from promise_seg.images.reading import make_reading
from promise_seg.vocabulary import Split
from tests.files import write_dicom, write_nifti


def test_a_sound_data_set(checked):
    assert len(checked) == 10
    assert (checked[0].height, checked[0].width) == (30, 40)
    assert checked[0].foreground_pixels == checked[0].mask().sum() > 0


def test_every_problem_is_reported_at_once(manifest):
    folder = manifest.parent
    (folder / "images/0.png").unlink()
    (folder / "images/1.png").write_bytes((folder / "images/1.png").read_bytes()[:900])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "masks/2.png")
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(folder / "masks/3.png")
    (folder / "masks/4.png").write_text("no image")
    shutil.copy(folder / "images/8.png", folder / "images/5.png")
    with pytest.raises(ManifestError) as caught:
        check_rows(read_manifest(manifest))
    lines = str(caught.value).splitlines()
    assert lines[0] == "6 problems:"
    for line, (number, words) in zip(
        lines[1:],
        [(2, "no such file"), (3, "truncated"), (4, "same size"), (5, "two values"), (6, "not an image"),
         (7, "is also in test")],
        strict=True,
    ):  # fmt: skip
        assert line.startswith(f"{manifest}:{number}:")
        assert words in line


def test_an_empty_mask_is_no_problem(manifest):
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(manifest.parent / "masks/0.png")
    assert check_rows(read_manifest(manifest))[0].foreground_pixels == 0


def test_a_threshold_admits_grey_masks(manifest):
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(manifest.parent / "masks/3.png")
    rows = check_rows(read_manifest(manifest), make_reading(mask_threshold=127))
    assert rows[3].mask().any()


def volumes(folder, slices="", labels=None):
    """A manifest of two CT volumes with label maps."""
    rng = np.random.default_rng(0)
    lines = ["image_name,train_type,mask_name,slice"]
    for name, split in (("a", "train"), ("b", "val")):
        write_nifti(folder / f"{name}.nii.gz", rng.integers(-100, 400, (6, 8, 5)).astype(np.int16))
        found = rng.integers(0, 3, (6, 8, 5)).astype(np.uint8) if labels is None else labels
        write_nifti(folder / f"{name}_seg.nii.gz", found)
        lines.append(f"{name}.nii.gz,{split},{name}_seg.nii.gz,{slices}")
    (folder / "m.csv").write_text("\n".join(lines))
    return read_manifest(folder / "m.csv")


def test_a_volume_becomes_a_row_for_each_slice(tmp_path):
    rows = check_rows(volumes(tmp_path), make_reading(label="2", window="40,400"))
    assert len(rows) == 10
    assert [r.name for r in rows[:2]] == [f"{tmp_path}/a.nii.gz#0", f"{tmp_path}/a.nii.gz#1"]
    assert len({r.image_sha256 for r in rows}) == 10
    assert len({r.row.group for r in rows}) == 2
    for row in rows:
        assert row.image().shape == (8, 6, 3)
        assert np.array_equal(row.mask(), row.labels() == 2)
        assert row.foreground_pixels == row.mask().sum()


def test_a_row_may_mean_some_slices_only(tmp_path):
    rows = check_rows(volumes(tmp_path, "1-3"), make_reading(label="1"))
    assert [r.index for r in rows] == [1, 2, 3, 1, 2, 3]
    with pytest.raises(ManifestError, match="has no slice 5; it has 5, counted from 0"):
        check_rows(volumes(tmp_path, "5"), make_reading(label="1"))


def test_classes_are_counted_and_told_apart(tmp_path):
    rows = check_rows(volumes(tmp_path), make_reading(label="all"))
    assert classes_of(rows) == [1, 2]
    of_two = rows[0].of_class(2)
    assert of_two.foreground_pixels == of_two.mask().sum() == (rows[0].labels() == 2).sum()
    with pytest.raises(ManifestError, match=r"m\.csv: no mask contains the class 7; they contain 1, 2"):
        check_rows(volumes(tmp_path), make_reading(label="7"))


def test_the_objects_of_an_instance_map_make_up_its_mask(tmp_path):
    rows = check_rows(volumes(tmp_path), make_reading(instances=True))
    assert len(rows[0].instances()) == 2
    assert np.array_equal(np.any(rows[0].instances(), 0), rows[0].mask())


def test_borders_are_found_once_and_kept(manifest):
    image = np.zeros((30, 40, 3), np.uint8)
    image[5:25, 8:36] = np.random.default_rng(0).integers(60, 255, (20, 28, 3))
    Image.fromarray(image).save(manifest.parent / "images/0.png")
    rows = check_rows(read_manifest(manifest), make_reading(crop_border=True))
    assert rows[0].crop == Box(8, 5, 36, 25)
    assert rows[1].crop is None
    assert check_rows(read_manifest(manifest))[0].crop is None


def test_an_image_that_was_turned_is_named_where_its_mask_was_not(manifest):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(manifest.parent / "images/0.png").save(manifest.parent / "images/0.png", exif=exif)
    with pytest.raises(ManifestError, match=r"30 x 40 pixels \(rotated by its EXIF orientation\) but its mask"):
        check_rows(read_manifest(manifest))


def soft(folder, scale, dtype):
    """Replace the masks of a data set by soft ones, from 0 to ``scale``."""
    for path in sorted((folder / "masks").iterdir()):
        values = gaussian_filter((np.asarray(Image.open(path)) > 0).astype(np.float64), 2)
        tifffile.imwrite(path.with_suffix(".tif"), (values / values.max() * scale).astype(dtype))
        path.unlink()
    manifest = folder / "manifest.csv"
    manifest.write_text(re.sub(r"(masks/\d+)\.png", r"\1.tif", manifest.read_text()))
    return read_manifest(manifest)


@pytest.mark.parametrize(
    ("scale", "dtype", "option"), [(1, np.float32, "0.5"), (100, np.uint8, "50"), (0.4, np.float64, "0.2")]
)
def test_a_threshold_that_empties_every_mask_is_refused_and_the_one_proposed_is_not(manifest, scale, dtype, option):
    rows = soft(manifest.parent, scale, dtype)
    for threshold in (127, scale):
        words = rf"manifest\.csv: no mask has a value above {scale}, so .* Pass --mask-threshold {option} instead"
        with pytest.raises(ManifestError, match=words):
            check_rows(rows, make_reading(mask_threshold=threshold))
    assert all(row.foreground_pixels for row in check_rows(rows, make_reading(mask_threshold=float(option))))


def test_a_mask_of_low_probabilities_may_be_empty(manifest):
    rows = soft(manifest.parent, 1, np.float32)
    tifffile.imwrite(rows[0].mask, tifffile.imread(rows[0].mask) / 4)
    checked = check_rows(rows, make_reading(mask_threshold=0.5))
    assert [row.foreground_pixels > 0 for row in checked] == [False] + [True] * 9


def test_a_slice_below_the_threshold_is_empty_where_its_volume_is_not(tmp_path):
    labels = np.zeros((6, 5, 2), np.int16)
    labels[1:3, 1:3, 0] = 255
    labels[4, 4, 1] = 90
    for name, array in (("i.nii", labels), ("m.nii", labels)):
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / name)
    (tmp_path / "data.csv").write_text("image_name,train_type,mask_name\ni.nii,train,m.nii\n")
    rows = check_rows(read_manifest(tmp_path / "data.csv"), make_reading(mask_threshold=127))
    assert [int(row.mask().sum()) for row in rows] == [row.foreground_pixels for row in rows] == [4, 0]


def test_masks_of_one_beside_masks_of_255_are_not_emptied_in_silence(manifest):
    mask = manifest.parent / "masks/2.png"
    tifffile.imwrite(mask, gaussian_filter((np.asarray(Image.open(mask)) > 0).astype(np.float32), 2))
    words = r"manifest\.csv:4: .*2\.png: has no value above 0\.\d+, so --mask-threshold 127 .* values up to 255"
    with pytest.raises(ManifestError, match=words):
        check_rows(read_manifest(manifest), make_reading(mask_threshold=127))


def test_what_was_assumed_of_masks_is_said_once(manifest):
    text = manifest.read_text()
    for number in (3, 5):
        mask = np.asarray(Image.open(manifest.parent / f"masks/{number}.png"))
        white = {"photometric": "miniswhite", "software": False, "metadata": None}
        tifffile.imwrite(manifest.parent / f"masks/{number}.tif", mask, **white)
        text = text.replace(f"masks/{number}.png", f"masks/{number}.tif")
    manifest.write_text(text)
    data = Dataset.from_csv(manifest)
    (warning,) = data.warnings
    assert "3.tif: declares 0 to be white" in warning
    assert warning.endswith("The same holds for 1 other mask(s)")
    assert data[3].mask().mean() < 0.5


def blemished(folder, count):
    """A data set of DICOM images, of which the first few have no intercept, and a label map with rounded values."""
    for number in range(6):
        rescaling = {"RescaleSlope": "1"} | ({} if number < count else {"RescaleIntercept": "0"})
        write_dicom(folder / f"{number}.dcm", np.full((6, 8), number, np.int16), **rescaling)
        Image.fromarray(np.eye(6, 8, dtype=np.uint8)).save(folder / f"{number}.png")
    rows = "".join(f"{number}.dcm,train,{number}.png\n" for number in range(6))
    (folder / "m.csv").write_text(f"image_name,train_type,mask_name\n{rows}")
    return folder / "m.csv"


@pytest.mark.parametrize(("count", "lines"), [(0, 0), (1, 1), (3, 3), (5, 4)])
def test_files_that_are_read_otherwise_than_they_say_are_warnings(tmp_path, count, lines):
    found = mended_warnings(check_rows(read_manifest(blemished(tmp_path, count))))
    assert len(found) == lines
    assert all("it has a RescaleSlope but no RescaleIntercept" in note for note in found[:3])
    assert not found[3:] or found[3] == "2 more files were not read as their headers state; see promise data check"


def test_labels_off_by_the_rounding_of_their_scale_are_told(tmp_path):
    labels = np.zeros((4, 5, 3), np.uint8)
    labels[1], labels[2] = 1, 2
    first = nib.Nifti1Image(labels, np.eye(4))
    nib.save(nib.Nifti1Image(labels.astype(float), np.eye(4), first.header), tmp_path / "labels.nii")
    nib.save(nib.Nifti1Image(labels * 90, np.eye(4)), tmp_path / "image.nii")
    row = Row("m.csv:2", tmp_path / "image.nii", tmp_path / "labels.nii", Split.TRAIN, "g")
    checked = check_row(row, make_reading(label="1"))
    assert {values for one in checked for values, _ in one.class_pixels} == {1, 2}
    assert [one.notes for one in checked[1:]] == [(), ()]
    assert checked[0].notes == (
        f"{tmp_path}/labels.nii: its labels differ from whole numbers by the rounding of its scale factor, and are "
        "rounded",
    )


@pytest.mark.parametrize("error", [ZeroDivisionError("odd"), MemoryError()])
def test_whatever_a_row_runs_into_is_its_problem_alone(manifest, monkeypatch, error):
    read = checks.labels_of

    def odd(source, path, *others):
        if path.name == "3.png":
            raise error
        return read(source, path, *others)

    monkeypatch.setattr(checks, "labels_of", odd)
    with pytest.raises(ManifestError, match=r"1 problem.*\n.*csv:5: .*3\.png|csv:5: .*3\.png"):
        check_rows(read_manifest(manifest))


def test_each_slice_asks_once_what_kind_of_file_its_mask_is(tmp_path, monkeypatch):
    """To answer, the header of a DICOM file is read."""
    rng = np.random.default_rng(0)
    write_nifti(tmp_path / "v.nii.gz", rng.uniform(0, 100, (8, 9, 4)).astype(np.float32))
    write_nifti(tmp_path / "m.nii.gz", (rng.uniform(size=(8, 9, 4)) > 0.5).astype(np.uint8))
    (tmp_path / "d.csv").write_text("image_name,train_type,mask_name\nv.nii.gz,train,m.nii.gz\n")
    asked = []
    real = readers.is_segmentation
    monkeypatch.setattr(readers, "is_segmentation", lambda path: asked.append(path.name) or real(path))
    assert len(check_row(read_manifest(tmp_path / "d.csv")[0])) == 4
    assert asked.count("m.nii.gz") == 4 + 1, "once a slice, and once for what is to be known of the whole file"


@pytest.mark.parametrize("name", ["masks/0.png", "images/../masks/0.png", "one.npz"])
def test_an_image_is_not_its_own_mask(manifest, name):
    np.savez(manifest.parent / "one.npz", np.zeros((30, 40), np.uint8))
    same = name if name == "one.npz" else "masks/0.png"
    manifest.write_text(f"image_name,train_type,mask_name\n{same},train,{name}\n")
    with pytest.raises(ManifestError, match=r"csv:2: \S*: is both the image and the mask"):
        check_rows(read_manifest(manifest))


@pytest.mark.parametrize("colour", [False, True])
def test_exchanged_columns_are_named_without_advice_on_thresholds(manifest, colour):
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3) if colour else (30, 40)).astype(np.uint8)
    Image.fromarray(noise).save(manifest.parent / "masks/0.png")
    disc = np.zeros((30, 40), np.uint8)
    disc[5:9, 5:9] = 255
    Image.fromarray(disc).save(manifest.parent / "images/0.png")
    with pytest.raises(ManifestError, match=r"manifest\.csv:2: .*only 2 values.*seem to be exchanged") as caught:
        check_rows(read_manifest(manifest))
    assert "--mask-threshold" not in str(caught.value)
    Image.fromarray(np.zeros_like(disc)).save(manifest.parent / "images/0.png")  # not a mask: a black image
    with pytest.raises(ManifestError, match=r"two values|in colour"):
        check_rows(read_manifest(manifest))
    Image.fromarray(noise).save(manifest.parent / "images/0.png")
    with pytest.raises(ManifestError, match=r"two values|in colour"):
        check_rows(read_manifest(manifest))
