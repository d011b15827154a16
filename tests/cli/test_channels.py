"""Images of several channels through the commands: from folders as they are published to masks of new cases."""

import csv
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

import promise_seg
from promise_seg.cli.main import main
from promise_seg.images.formats.opening import open_source
from tests.files import write_nifti
from tests.helpers import disc_image, make_tiny_sam, write_dataset

pytestmark = pytest.mark.slow


@pytest.fixture
def train(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")

    def run(manifest, out, *options):
        return main(
            ["train", str(manifest), "--sam", str(tmp_path / "sam"), "--epochs", "2", "--batch-size", "3",
             "--views", "2", "-o", str(out), "--device", "cpu", "--store", str(tmp_path / "store"), *options]
        )  # fmt: skip

    return run


def volumes(seed):
    """Three channels of two slices, of which the last two show the disc, and its mask, columns first."""
    pairs = [disc_image(seed + number, 24, 24) for number in range(2)]
    image, mask = (np.stack([pair[at] for pair in pairs]).T for at in range(2))
    nothing = np.random.default_rng(seed).integers(0, 40, (24, 24, 2)).astype(np.int16)
    return [nothing, image[1].astype(np.int16), image[2].astype(np.int16)], mask


def write_case(folder, mask_path, pattern, words, seed):
    channels, mask = volumes(seed)
    for word, channel in zip(words, channels, strict=True):
        write_nifti(folder / pattern.format(word), channel)
    write_nifti(mask_path, mask.astype(np.uint8))


@pytest.fixture
def nnunet(tmp_path):
    folder = tmp_path / "Dataset001"
    for number, split in enumerate(("Tr", "Tr", "Tr", "Ts")):
        write_case(folder / f"images{split}", folder / f"labels{split}/case_{number}.nii.gz",
                   f"case_{number}_{{}}.nii.gz", ("0000", "0001", "0002"), 10 * number)  # fmt: skip
    names = {"channel_names": {"0": "ADC", "1": "T2", "2": "DWI"}}
    (folder / "dataset.json").write_text(json.dumps(names))
    return folder


@pytest.fixture
def brats(tmp_path):
    folder = tmp_path / "MICCAI"
    for number in range(4):
        case = f"BraTS_{number}"
        write_case(folder / case, folder / case / f"{case}_seg.nii.gz", f"{case}_{{}}.nii.gz", ("t2", "t1ce", "flair"),
                   10 * number)  # fmt: skip
    return folder


def make(folder, manifest, capsys):
    assert main(["data", "make", str(folder), "-o", str(manifest)]) == 0
    return capsys.readouterr().out


def test_an_nnunet_set_from_its_folder_to_the_masks_of_its_test_cases(nnunet, train, tmp_path, capsys):
    manifest, run = tmp_path / "set.csv", tmp_path / "run"
    said = make(nnunet, manifest, capsys)
    assert (
        "channels: 3 files for each image (0000 ADC, 0001 T2, 0002 DWI). The column image_name has the files of" in said
    )
    choice = ("--channels", "0001,0002")
    assert main(["data", "check", str(manifest), *choice]) < 2
    assert "read alone" not in capsys.readouterr().out
    assert main(["data", "check", str(manifest)]) == 1
    assert "is one of 3 channels" in capsys.readouterr().out.replace("\n", " ")
    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", str(manifest), *choice, "-o", str(sheet)]) == 0
    assert "channels: red 0001, green 0002, blue black" in capsys.readouterr().err
    assert train(manifest, run, *choice) == 0
    assert json.loads((run / "best/config.json").read_text())["reading"]["channels"] == "0001,0002"
    assert main(["evaluate", str(run), str(manifest), "-o", str(run / "test")]) == 0
    assert json.loads((run / "test/summary_apm.json").read_text())["reading"]["channels"] == "0001,0002"
    capsys.readouterr()
    assert main(["predict", str(run), str(nnunet / "imagesTs"), "-o", str(tmp_path / "out")]) == 0
    assert "left out 1 file(s) beside those of the channels that the model reads (0001,0002): case_3_0000.nii.gz" in (
        capsys.readouterr().err.replace("\n", " ")
    )
    (mask,) = (tmp_path / "out/masks").iterdir()
    assert mask.name == "case_3.nii.gz"
    model = promise_seg.load(run)
    volume = model.predict_volume(nnunet / "imagesTs/case_3_0002.nii.gz")
    assert np.array_equal(open_source(mask).array > 0, volume.mask)
    assert main(["predict", str(run), str(nnunet / "imagesTs"), "-o", str(tmp_path / "out")]) == 0
    assert "0 predicted, 1 already there" in capsys.readouterr().err
    write_nifti(nnunet / "imagesTs/case_3_0002.nii.gz", np.zeros((24, 24, 2), np.int16))  # a channel beside
    assert main(["predict", str(run), str(nnunet / "imagesTs"), "-o", str(tmp_path / "out")]) == 0
    assert "1 predicted, 0 already there" in capsys.readouterr().err
    (nnunet / "imagesTs/case_3_0002.nii.gz").unlink()
    for place in ("case_3_0001.nii.gz", "case_3_0000.nii.gz"):
        capsys.readouterr()
        assert main(["predict", str(run), str(nnunet / "imagesTs" / place), "-o", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err.replace("\n", " ")
        assert (
            f"{place}: has one channel (0), none of them called 0002, which the choice of channels 0001,0002" in error
        )
        assert "there is no file case_3_0002.nii.gz beside it" in error


def test_a_brats_set_in_a_folder_for_each_case(brats, train, tmp_path, capsys):
    manifest, split, run = tmp_path / "set.csv", tmp_path / "split.csv", tmp_path / "run"
    said = make(brats, manifest, capsys)
    assert (
        "channels: 3 files for each image (flair, t1ce, t2). The column image_name has the files of flair, the only "
        "channel that is read"
    ) in said
    assert main(["data", "split", str(manifest), "-o", str(split), "--channels", "t2", "--test", "0.25"]) == 0
    assert train(split, run, "--channels", "flair,t1ce,t2") == 0
    case = brats / "BraTS_1"
    assert main(["predict", str(run), str(case), str(brats / "BraTS_2"), "-o", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out/masks").iterdir()} == {"BraTS_1.nii.gz", "BraTS_2.nii.gz"}
    model = promise_seg.load(run)
    seen = model.predict_volume(case / "BraTS_1_t2.nii.gz")
    assert np.array_equal(open_source(tmp_path / "out/masks/BraTS_1.nii.gz").array > 0, seen.mask)
    assert train(split, tmp_path / "other", "--channels", "t2,t1ce,flair") == 0
    other = promise_seg.load(tmp_path / "other")
    features = [one.encode(case / "BraTS_1_flair.nii.gz", 0).features.tensors for one in (model, other)]
    assert any((features[0][name] != features[1][name]).any() for name in features[0])


def test_the_stacks_of_a_microscope_and_classes_of_them(train, tmp_path, capsys):
    """Each class of a set has its model, and all of them read the same channels."""
    manifest, run = write_dataset(tmp_path / "data"), tmp_path / "run"
    text = manifest.read_text().replace("images/", "stacks/").replace(".png,t", ".tif,t").replace(".png,v", ".tif,v")
    manifest.write_text(text)
    (manifest.parent / "stacks").mkdir()
    for path in (manifest.parent / "images").iterdir():
        pixels = np.asarray(Image.open(path)).astype(np.uint16) * 9
        stack = np.stack([np.full_like(pixels[..., 0], 5), pixels[..., 0], pixels[..., 1], pixels[..., 2]])
        tifffile.imwrite(manifest.parent / f"stacks/{path.stem}.tif", stack, photometric="minisblack", ome=True,
                         metadata={"axes": "CYX", "Channel": {"Name": ["BF", "DAPI", "GFP", "RFP"]}})  # fmt: skip
    for path in (manifest.parent / "masks").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(path)
    assert train(manifest, run, "--class", "1") == 2
    assert "has 4 channels (0 BF, 1 DAPI, 2 GFP, 3 RFP); say in training which" in capsys.readouterr().err.replace(
        "\n", " "
    )
    assert train(manifest, run, "--class", "all", "--channels", "GFP,DAPI") == 0
    assert main(["tune-postprocess", str(run / "class-1"), str(manifest)]) == 0
    assert main(["predict", str(run), str(manifest.parent / "stacks/9.tif"), "-o", str(tmp_path / "out")]) == 0
    found = np.asarray(Image.open(tmp_path / "out/masks/9.png"))
    model = promise_seg.load(run)
    assert np.array_equal(model.predict(manifest.parent / "stacks/9.tif").labels, found)
    assert str(model.reading.channels) == "GFP,DAPI"
    capsys.readouterr()
    image = manifest.parent / "images/9.png"
    assert main(["predict", str(run), str(image), "-o", str(tmp_path / "out2")]) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert "9.png: has 3 channels (0 red, 1 green, 2 blue), none of them called GFP, which the choice" in error


def test_from_python(tmp_path):
    folder = tmp_path / "a"
    for number in range(4):
        write_case(folder, folder / f"{number}_seg.nii.gz", f"{number}_{{}}.nii.gz", ("a", "b", "c"), 10 * number)
    with (tmp_path / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "train_type", "mask_name"])
        for number, split in enumerate(("train", "train", "val", "test")):
            writer.writerow([f"a/{number}_b.nii.gz", split, f"a/{number}_seg.nii.gz"])
    data = promise_seg.Dataset.from_csv(tmp_path / "set.csv", channels=["c", "b"])
    plain = promise_seg.Dataset.from_csv(tmp_path / "set.csv")
    assert str(data.reading.channels) == "c,b"
    assert data.sha256 != plain.sha256
    image = data.test[0].image()
    assert np.array_equal(image[..., 1], plain.test[0].image()[..., 0])
    assert not image[..., 2].any()
    again = promise_seg.Dataset.from_csv(tmp_path / "set.csv", like=data.reading)
    assert again.sha256 == data.sha256
