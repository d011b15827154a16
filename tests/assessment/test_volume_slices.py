"""DICOM images that are files and rows of their own, as the volumes that they are slices of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.volume_slices import volumes_of
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import Row
from promise_seg.vocabulary import Split
from tests.files import write_dicom, write_series

STACK = np.random.default_rng(0).integers(0, 400, (5, 12, 10)).astype(np.int16)


def rows_of(folder: Path, *, masks="masks", group=None, split=Split.TEST):
    """A row for each file of a folder, in the order of their names, each with a mask of its own."""
    rows = []
    for path in sorted(folder.iterdir()):
        mask = folder.parent / masks / f"{folder.name}-{path.name}.png"
        mask.parent.mkdir(exist_ok=True)
        shape = (14, 10) if path.name.startswith("large") else (12, 10)
        Image.fromarray(np.full(shape, 255, np.uint8)).save(mask)
        rows.append(Row("m.csv:2", path, mask, split, group or str(path)))
    return check_rows(rows)


def test_slices_are_ordered_by_their_place_and_not_by_their_names(tmp_path):
    folder = write_series(tmp_path / "ct", STACK, step=2.5, spacing=(0.5, 0.8))
    ((volume,), notes) = volumes_of(rows_of(folder))
    assert [row.row.image.name for row in volume.rows] == [f"slice00{n}" for n in (5, 4, 3, 2, 1)]
    assert volume.spacing == pytest.approx((2.5, 0.5, 0.8))
    assert (volume.name, volume.group, volume.lacking, notes) == (str(folder), str(folder), "", [])
    assert not volume.is_part  # nobody knows how many others there are


def test_oblique_series_too(tmp_path):
    turned = (0.8, 0.6, 0, 0, 0, -1)
    folder = write_series(tmp_path / "ct", STACK, step=2.5, spacing=(0.5, 0.8), orientation=turned)
    assert volumes_of(rows_of(folder))[0][0].spacing == pytest.approx((2.5, 0.5, 0.8))


def test_a_lost_slice_and_a_tilted_gantry_leave_the_overlap(tmp_path):
    folder = write_series(tmp_path / "lost", STACK, step=2.5)
    (folder / "slice003").unlink()
    (lost,) = volumes_of(rows_of(folder))[0]
    assert lost.spacing is None
    assert "but 5.00 mm from slice004 to slice002" in lost.lacking
    tilted = tmp_path / "tilted"
    for number, pixels in enumerate(STACK):
        write_dicom(
            tilted / f"{number}", pixels, ImagePositionPatient=[0, number * 0.5, number * 2.5], SeriesInstanceUID="1.2"
        )
    (volume,) = volumes_of(rows_of(tilted))[0]
    assert volume.lacking == "its slices are tilted by 11.3 degrees"


def test_one_series_each_reader_patient_and_split(tmp_path):
    folders = [write_series(tmp_path / name, STACK, step=2.5) for name in ("a", "b")]
    rows = rows_of(folders[0], group="p1") + rows_of(folders[1], group="p2")
    rows += rows_of(folders[1], group="p2", masks="second-reader")
    rows += rows_of(folders[1], group="p2", split=Split.VAL)
    volumes = volumes_of(rows)[0]
    assert [(one.group, len(one.rows)) for one in volumes] == [("p1", 5), ("p2", 5), ("p2", 5), ("p2", 5)]
    flat = tmp_path / "flat"
    for folder in folders:
        flat.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.rename(flat / f"{folder.name}-{path.name}")
    assert [len(one.rows) for one in volumes_of(rows_of(flat))[0]] == [5, 5]


@pytest.mark.parametrize(
    "spoil",
    [lambda f: write_dicom(f / "again", STACK[0], ImagePositionPatient=[0, 0, 2.0], SeriesInstanceUID="1.2"),
     lambda f: write_dicom(f / "large", np.zeros((14, 10), np.int16), ImagePositionPatient=[0, 0, 9],
                           SeriesInstanceUID="1.2"),
     lambda f: write_dicom(f / "scout", STACK[0], ImagePositionPatient=[0, 0, 9], SeriesInstanceUID="1.2",
                           ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
     lambda f: write_dicom(f / "fine", STACK[0], ImagePositionPatient=[0, 0, 9], SeriesInstanceUID="1.2",
                           PixelSpacing=[0.5, 0.5])],
)  # fmt: skip
def test_images_that_do_not_lie_beside_each_other_are_named(spoil, tmp_path):
    folder = tmp_path / "ct"
    for number in range(3):
        write_dicom(
            folder / f"{number}", STACK[number], ImagePositionPatient=[0, 0, number * 2.0], SeriesInstanceUID="1.2"
        )
    assert len(volumes_of(rows_of(folder))[0]) == 1
    spoil(folder)
    volumes, (note,) = volumes_of(rows_of(folder))
    assert volumes == []
    assert note.startswith("1 series of single files are not scored as volumes, as their images differ in size")
    assert str(folder / "0") in note


def test_images_without_a_place_or_series_are_no_slices(tmp_path):
    folder = tmp_path / "x"
    for number in range(3):
        write_dicom(folder / f"{number}", STACK[number], placed=False, SeriesInstanceUID="1.2")
        write_dicom(folder / f"none{number}", STACK[number], ImagePositionPatient=[0, 0, number], SeriesInstanceUID="")
    assert volumes_of(rows_of(folder)) == ([], [])
