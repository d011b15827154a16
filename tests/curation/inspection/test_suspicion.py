import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.curation.inspection.findings import Kind
from promise_seg.curation.inspection.inspecting import inspect
from promise_seg.curation.inspection.suspicion import looks_inverted
from promise_seg.images.reading import make_reading
from tests.files import write_nifti
from tests.helpers import disc_image, write_dataset


@pytest.fixture
def drawn(tmp_path):
    return write_dataset(tmp_path / "data")


def findings(manifest, kind, reading=None):
    return [finding for finding in inspect(manifest, reading).findings if finding.kind == kind]


def mask_of(*places, shape=(20, 30)):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


def test_where_the_background_mostly_lies():
    disc = disc_image(0)[1]
    half_of_the_border = mask_of(np.s_[:11, :2], np.s_[:2])
    for mask, expected in (
        (disc, False),
        (~disc, True),
        (mask_of(np.s_[0, 0], np.s_[0, -1], np.s_[-1, 0]), False),
        (mask_of(np.s_[[0, 0, -1, -1], [0, -1, 0, -1]]), True),
        (mask_of(np.s_[:8, :]), False),
        (half_of_the_border, False),
        (half_of_the_border | mask_of(np.s_[:, -1]), True),
        (mask_of(np.s_[1:-1, 1:-1]), True),
        (mask_of(np.s_[3:10, 5:20]), False),
        (np.ones((1, 1), bool), True),
    ):
        assert looks_inverted(mask) == expected


def test_most_masks_inverted(drawn):
    masks = sorted((drawn.parent / "masks").iterdir())
    for number, path in enumerate(masks):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
        expected = (
            [] if number < 5 else [f"in {number + 1} of 10 mask(s) with an object, the object covers all four corners"]
        )
        assert [f.message[: len(expected[0])] for f in findings(drawn, Kind.INVERTED_MASKS)] == expected


def test_empty_masks_do_not_count(drawn):
    for number in range(10):
        path = drawn.parent / f"masks/{number}.png"
        mask = np.asarray(Image.open(path))
        Image.fromarray(255 - mask if number < 2 else mask * 0).save(path)
    (finding,) = findings(drawn, Kind.INVERTED_MASKS)
    assert finding.message.startswith("in 2 of 2 mask(s)")
    assert finding.severity == "warning"


def test_a_class_that_is_the_background_of_label_maps(tmp_path):
    lines = ["image_name,train_type,mask_name"]
    for number, split in enumerate(("train", "val", "test")):
        image, mask = (array[..., None] for array in disc_image(number))
        write_nifti(tmp_path / f"{number}.nii", image[:, :, 0, :].astype(np.int16))
        write_nifti(tmp_path / f"{number}_m.nii", np.where(mask, 2, 1).astype(np.uint8))
        lines.append(f"{number}.nii,{split},{number}_m.nii")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    assert findings(tmp_path / "m.csv", Kind.INVERTED_MASKS, make_reading(label="1"))
    assert findings(tmp_path / "m.csv", Kind.INVERTED_MASKS, make_reading(label="all"))
    assert not findings(tmp_path / "m.csv", Kind.INVERTED_MASKS, make_reading(label="2"))


def turn(drawn, number, orientation, *, square=False, mask_too=False):
    """Store an image, and perhaps its mask, with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for folder, is_turned in (("images", True), ("masks", mask_too)):
        path = drawn.parent / f"{folder}/{number}.png"
        picture = Image.open(path)
        picture = picture.crop((0, 0, 30, 30)) if square else picture
        picture.save(path, **({"exif": exif} if is_turned else {}))


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_turn_that_keeps_the_size_is_found_where_the_mask_has_none(drawn, orientation):
    turn(drawn, 4, orientation)
    (finding,) = findings(drawn, Kind.ORIENTATION)
    assert finding.where == f"{drawn}:6"
    assert f"4.png: is stored with the orientation {orientation}, and its mask" in finding.message
    turn(drawn, 4, orientation, mask_too=True)
    assert not findings(drawn, Kind.ORIENTATION)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_quarter_turn_of_a_square_is_found(drawn, orientation):
    turn(drawn, 2, orientation, square=True)
    assert [f.where for f in findings(drawn, Kind.ORIENTATION)] == [f"{drawn}:4"]


def test_a_quarter_turn_of_what_is_no_square_shows_in_its_size(drawn):
    """So the mask of a photograph that was annotated upright gives no warning."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(drawn.parent / "images/0.png")
    image.transpose(Image.Transpose.ROTATE_90).save(drawn.parent / "images/0.png", exif=exif)
    assert inspect(drawn).findings == ()


def test_a_tiff_has_an_orientation_too(drawn):
    image = np.asarray(Image.open(drawn.parent / "images/1.png"))
    upside_down = [(274, 3, 1, 3, True)]
    tifffile.imwrite(drawn.parent / "images/1.tif", image, photometric="rgb", extratags=upside_down)
    drawn.write_text(drawn.read_text().replace("images/1.png", "images/1.tif"))
    assert [f.where for f in findings(drawn, Kind.ORIENTATION)] == [f"{drawn}:3"]
    mask = np.asarray(Image.open(drawn.parent / "masks/1.png"))
    tifffile.imwrite(drawn.parent / "masks/1.tif", mask, extratags=upside_down)
    drawn.write_text(drawn.read_text().replace("masks/1.png", "masks/1.tif"))
    assert not findings(drawn, Kind.ORIENTATION)


def test_masks_of_unknown_meaning_and_thresholds_that_empty_them(drawn, capsys):
    for path in (drawn.parent / "masks").iterdir():
        mask = np.asarray(Image.open(path)) // 255
        tifffile.imwrite(path, mask, photometric="miniswhite", software=False, metadata=None)
    (finding,) = findings(drawn, Kind.MASK_MEANING)
    assert finding.message.endswith("The same holds for 9 other mask(s)")
    assert not findings(drawn, Kind.INVERTED_MASKS)
    assert main(["data", "check", str(drawn), "--mask-threshold", "0.5"]) == 1
    assert main(["data", "check", str(drawn), "--mask-threshold", "2"]) == 2
    assert "mask values" in capsys.readouterr().out
