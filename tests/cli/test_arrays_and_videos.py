"""Arrays and videos through the commands, from folders of patients to masks that are read again."""

import csv

import numpy as np
import pytest

from promise_seg.cli.main import main
from promise_seg.dataset.checks import check_row
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from tests.files import write_video
from tests.helpers import make_tiny_sam

FRAMES = 5


def disc(number):
    """A frame (32, 40, 3) with a bright disc, which moves, and its mask."""
    rows, columns = np.mgrid[:32, :40]
    mask = ((rows - 16) ** 2 + (columns - 14 - number) ** 2 < 64).astype(np.uint8)
    return (np.random.default_rng(number).integers(0, 60, (32, 40, 1)) + 120 * mask[..., None]).repeat(3, 2), mask


@pytest.fixture
def patients(tmp_path):
    """A stack, an archive and a video of each of three patients, all called alike."""
    for patient in range(3):
        folder = tmp_path / "data" / f"p{patient}"
        folder.mkdir(parents=True)
        frames, masks = (np.stack(all_of) for all_of in zip(*map(disc, range(patient, patient + FRAMES)), strict=True))
        np.save(folder / "stack.npy", (frames[..., 0] / 180).astype(np.float32))
        np.save(folder / "stack_mask.npy", masks > 0)
        write_video(folder / "video.mkv", frames.astype(np.uint8))
        write_video(folder / "video_mask.avi", masks)
    return tmp_path / "data"


@pytest.mark.slow
def test_patients_stay_together_and_predictions_are_masks_of_what_they_are_of(patients, tmp_path, capsys):
    manifest, run, out = tmp_path / "m.csv", tmp_path / "run", tmp_path / "out"
    assert main(["data", "make", str(patients), "-o", str(manifest)]) == 0
    assert [(row.group, row.image.name) for row in read_manifest(manifest)] == [
        (f"p{patient}", name) for patient in range(3) for name in ("stack.npy", "video.mkv")
    ]
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], *(line.replace("train", "test") if "p2/" in line else line
                                               for line in lines[1:])]) + "\n")  # fmt: skip
    assert main(["data", "make", str(patients), "-o", str(tmp_path / "few.csv"), "--every", "2"]) == 0
    few = read_manifest(tmp_path / "few.csv")
    assert [(row.image.suffix, row.every) for row in few] == [(".npy", 1), (".mkv", 2)] * 3
    assert [checked.index for row in few[:2] for checked in check_row(row)] == [0, 1, 2, 3, 4, 0, 2, 4]
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    capsys.readouterr()
    options = ["--sam", str(tmp_path / "sam"), "--epochs", "1", "--views", "1", "--device", "cpu"]
    assert main(["train", str(manifest), *options, "-o", str(run)]) == 0
    assert main(["predict", str(run), str(patients), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "12 predicted" in said.err + said.out
    for patient in range(3):
        for name, mask in (("stack.npy", "stack.npy"), ("video.mkv", "video.tif")):
            image = open_source(patients / f"p{patient}" / name)
            path = out / f"masks/p{patient}/{mask}"
            assert [read_labels(path, image, index).shape for index in range(FRAMES)] == [(32, 40)] * FRAMES
    assert np.load(out / "masks/p1/stack.npy").shape == (FRAMES, 32, 40)
    assert main(["predict", str(run), str(patients / "p0/video.mkv"), "-o", str(tmp_path / "few"), "--every", "3"]) == 0
    assert sorted(path.name for path in (tmp_path / "few/masks/video").iterdir()) == ["000.png", "003.png"]
    assert main(["predict", str(run), str(patients), "-o", str(out), "--every", "0"]) == 2
    assert "--every 0: expected a whole number from 1" in capsys.readouterr().err


def test_a_truncated_video_is_a_finding_of_the_check(patients, tmp_path, capsys):
    rng = np.random.default_rng(0)
    path = write_video(patients / "p0/long.avi", rng.integers(0, 255, (20, 32, 40, 3)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    count = len(open_source(path))
    np.save(patients / "p0/long_mask.npy", np.repeat(disc(0)[1][None], count, 0))
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"image_name,train_type,mask_name\n{path},train,{patients}/p0/long_mask.npy\n")
    assert main(["data", "check", str(manifest), "--json", str(tmp_path / "found.json")]) == 1
    assert f"ends after {count} of 20 frames" in (tmp_path / "found.json").read_text()


def test_an_archive_is_an_image_and_its_own_mask(tmp_path):
    lines = ["image_name,train_type,mask_name"]
    for number, split in enumerate(("train", "val", "test")):
        frame, mask = disc(number)
        np.savez_compressed(tmp_path / f"{number}.npz", image=frame[..., 0] / 180, label=mask)
        lines.append(f"{number}.npz,{split},{number}.npz")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    assert main(["data", "check", str(tmp_path / "m.csv"), "--json", str(tmp_path / "found.json")]) in (0, 1)
    assert '"severity": "error"' not in (tmp_path / "found.json").read_text()
    rows = list(csv.DictReader((tmp_path / "m.csv").open()))
    image = open_source(tmp_path / rows[0]["image_name"])
    assert np.array_equal(read_labels(tmp_path / rows[0]["mask_name"], image), disc(0)[1])
