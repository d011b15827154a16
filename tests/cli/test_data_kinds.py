"""Data of many kinds through the commands: from the manifest to masks that fit back."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import promise_seg
from promise_seg.cli.main import main
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from tests.files import write_nifti, write_series
from tests.helpers import make_tiny_sam, write_dataset


@pytest.fixture
def sam_folder(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return str(tmp_path / "sam")


@pytest.fixture
def train(sam_folder):
    def run(manifest, out, *options):
        return main(["train", str(manifest), "--sam", sam_folder, "--epochs", "2", "--batch-size", "3", "--views", "2",
                     "-o", str(out), "--device", "cpu", *options])  # fmt: skip

    return run


@pytest.fixture
def volumes(tmp_path):
    """Three small CTs with two organs each, as label maps."""
    rng = np.random.default_rng(0)
    lines = ["image_name,train_type,mask_name"]
    for name, split in (("a", "train"), ("b", "val"), ("c", "test")):
        image = rng.integers(-200, 0, (24, 20, 6)).astype(np.int16)
        labels = np.zeros((24, 20, 6), np.uint8)
        labels[3:12, 3:15, 1:5], labels[14:22, 5:18, 2:6] = 1, 2
        image[labels > 0] += 300
        write_nifti(tmp_path / f"{name}.nii.gz", image, np.diag([-1, 1, 2, 1.0]))
        write_nifti(tmp_path / f"{name}_seg.nii.gz", labels, np.diag([-1, 1, 2, 1.0]))
        lines.append(f"{name}.nii.gz,{split},{name}_seg.nii.gz")
    (tmp_path / "ct.csv").write_text("\n".join(lines))
    return tmp_path / "ct.csv"


@pytest.mark.slow
def test_one_class_of_volumes(volumes, train, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(volumes, run, "--class", "2", "--window", "40,400", "--fit", "pad") == 0
    assert main(["evaluate", str(run), str(volumes), "-o", str(run / "test")]) == 0
    lines = list(csv.DictReader((run / "test/scores_apm.csv").open()))
    assert [line["image"] for line in lines] == [f"{tmp_path}/c.nii.gz#{i}" for i in range(6)]
    reading = json.loads((run / "test/summary_apm.json").read_text())["reading"]
    assert reading == {"axis": "auto", "crop_border": False, "label": 2, "masks": "classes", "window": "40,400"}
    assert main(["predict", str(run), str(tmp_path / "c.nii.gz"), "-o", str(tmp_path / "out")]) == 0
    written = nib.load(tmp_path / "out/masks/c.nii.gz")
    assert written.shape == (24, 20, 6)
    assert np.array_equal(written.affine, nib.load(tmp_path / "c.nii.gz").affine)
    assert set(np.unique(written.get_fdata())) <= {0, 2}


@pytest.mark.slow
def test_a_model_for_each_class(volumes, train, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(volumes, run, "--class", "all") == 0
    printed = capsys.readouterr().err
    assert "class 1, of 1, 2:" in printed
    assert "encoded 18 views" in printed
    assert "encoded 0 views" in printed  # the second class finds the features of the first
    assert train(volumes, run, "--class", "all") == 0
    assert "already finished" in capsys.readouterr().err
    assert main(["evaluate", str(run), str(volumes), "--prompts", "oracle", "-o", str(run / "test")]) == 0
    for label in (1, 2):
        summary = json.loads((run / f"test/class-{label}/summary_oracle.json").read_text())
        assert summary["reading"]["label"] == label
    assert main(["predict", str(run), str(tmp_path / "c.nii.gz"), "--name", "1=liver", "-o", str(tmp_path / "o")]) == 0
    lines = list(csv.DictReader((tmp_path / "o/predictions.csv").open()))
    assert [line["class"] for line in lines] == ["1", "2"] * 6
    assert main(["evaluate", str(run), str(volumes), "--class", "1", "-o", str(run / "test")]) == 2
    assert "has a model for each class" in capsys.readouterr().err


@pytest.mark.slow
def test_some_classes_and_classes_that_a_split_lacks(volumes, train, tmp_path, capsys):
    labels = nib.load(tmp_path / "c_seg.nii.gz").get_fdata().astype(np.uint8)
    write_nifti(tmp_path / "c_seg.nii.gz", labels * (labels == 2), np.diag([-1, 1, 2, 1.0]))
    run = tmp_path / "run"
    assert train(volumes, run, "--class", "1,2", "--variant", "apm") == 0
    assert main(["evaluate", str(run), str(volumes), "-o", str(run / "test")]) == 0
    printed = capsys.readouterr().err
    assert "class 1: no test mask holds it; only false alarms are scored" in printed
    assert (run / "test/class-2/summary_apm.json").exists()
    assert train(volumes, tmp_path / "other", "--class", "2,5") == 2
    assert "--class 2,5: no mask of the train rows contains 5; they contain 1, 2" in capsys.readouterr().err


@pytest.mark.slow
def test_a_dicom_series_with_a_segmentation_of_our_own(volumes, train, tmp_path):
    """What was predicted for one series is a mask to train on: it fits back."""
    run = tmp_path / "run"
    assert train(volumes, run, "--class", "1") == 0
    for name in ("one", "two"):
        write_series(
            tmp_path / "pacs" / name, np.random.default_rng(1).integers(-100, 300, (4, 20, 24)).astype(np.int16)
        )
    out = tmp_path / "out"
    assert main(["predict", str(run), str(tmp_path / "pacs"), "-o", str(out), "--name", "liver"]) == 0
    source = open_source(tmp_path / "pacs/one")
    assert read_labels(out / "masks/one.dcm", source, 0).shape == (20, 24)
    rows = [f"pacs/{n},{s},out/masks/{n}.dcm" for n, s in (("one", "train"), ("two", "val"))]
    (tmp_path / "seg.csv").write_text("\n".join(["image_name,train_type,mask_name", *rows]))
    assert train(tmp_path / "seg.csv", tmp_path / "again", "--variant", "ips", "--window", "abdomen") == 0


def instances_of(manifest):
    for path in (manifest.parent / "masks").iterdir():
        labels = (np.asarray(Image.open(path)) > 0).astype(np.uint16)
        labels[:, int(np.nonzero(labels)[1].mean()) :] *= 300
        Image.fromarray(labels).save(path)
    return manifest


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["ips", "apm+ips"])
def test_instances(train, tmp_path, capsys, variant):
    manifest, run = instances_of(write_dataset(tmp_path / "data")), tmp_path / "run"
    assert train(manifest, run, "--instances", "--variant", variant) == 0
    assert main(["evaluate", str(run), str(manifest), "--prompts", "oracle", "-o", str(run / "test")]) == 0
    summary = json.loads((run / "test/summary_oracle.json").read_text())
    assert summary["objects"] == 4
    assert "Dice of 4 objects" in " ".join(capsys.readouterr().out.split())
    if variant == "apm+ips":
        assert (
            main(["predict", str(run), str(tmp_path / "data/images"), "--format", "coco", "-o", str(tmp_path / "o")])
            == 0
        )
        assert len(json.loads((tmp_path / "o/coco.json").read_text())["images"]) == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--window", "bones"], "--window bones: expected own, percentile"), (["--axis", "z"], "--axis z: expected auto"),
     (["--class", "9"], "no mask contains the class 9; they contain 1, 2"),
     ([], "--class; if objects, --instances"),
     (["--class", "1", "--instances"], "give one of them"), (["--augmentation", "wild"], "augmentation"),
     (["--class", "1", "--fit", "round"], "fit")],
)  # fmt: skip
def test_what_cannot_be_meant(volumes, train, tmp_path, capsys, options, words):
    assert train(volumes, tmp_path / "run", *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_contact_sheets(volumes, tmp_path, capsys):
    manifest = write_dataset(tmp_path / "data")
    for name, options in (
        ("a", [manifest]), ("b", [manifest, "--augmentation", "light", "--count", "4"]),
        ("c", [volumes, "--class", "all"]),
        ("d", [volumes, "--class", "1", "--axis", "coronal", "--count", "5", "--window", "abdomen"]),
        ("e", [manifest, "--crop-border", "--split", "test"]),
    ):  # fmt: skip
        path = tmp_path / f"{name}.png"
        assert main(["data", "show", *map(str, options), "-o", str(path)]) == 0
        assert min(Image.open(path).size) >= 256
    for options, words in (
        (["-o", "x.jpg"], "ends in .png"), (["--augmentation", "wild", "-o", "x.png"], "--augmentation wild: expected"),
        (["--split", "none", "-o", "x.png"], "--split none"),
    ):  # fmt: skip
        assert main(["data", "show", str(manifest), *options]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_reference_s_way_crops_and_pads(train, tmp_path):
    manifest, run = write_dataset(tmp_path / "data"), tmp_path / "run"
    assert train(manifest, run, "--protocol", "reference", "--variant", "ips", "--epochs", "1") == 0
    config = json.loads((run / "best/config.json").read_text())
    assert (config["fit"], config["reading"]["crop_border"]) == ("square", True)


@pytest.mark.slow
def test_one_colour_channel_from_training_to_prediction(train, tmp_path, capsys):
    """The discs are seen in green alone: what is read in red shows nothing."""
    manifest, run = write_dataset(tmp_path / "data"), tmp_path / "run"
    for path in (manifest.parent / "images").iterdir():
        pixels = np.asarray(Image.open(path)).copy()
        pixels[..., 0] = 7
        Image.fromarray(pixels).save(path)
    assert train(manifest, run, "--channel", "green") == 0
    assert "encoded 14 views" in capsys.readouterr().err
    assert json.loads((run / "best/config.json").read_text())["reading"]["channel"] == "green"
    assert train(manifest, tmp_path / "other") == 0
    assert "encoded 14 views" in capsys.readouterr().err  # nothing that was stored of one channel is taken for another
    assert main(["evaluate", str(run), str(manifest), "-o", str(run / "test")]) == 0
    assert json.loads((run / "test/summary_apm.json").read_text())["reading"]["channel"] == "green"
    capsys.readouterr()
    for channel, code in (("red", 1), ("green", 0)):
        assert main(["data", "check", str(manifest), "--channel", channel]) == code
        assert ("shows nothing" in capsys.readouterr().out) == (channel == "red")
    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", str(manifest), "--channel", "green", "-o", str(sheet)]) == 0
    image = str(manifest.parent / "images/9.png")
    assert main(["predict", str(run), image, "-o", str(tmp_path / "out")]) == 0
    by_hand = promise_seg.load(run).predict(np.repeat(np.asarray(Image.open(image))[..., 1:2], 3, 2)).mask
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/masks/9.png")) > 0, by_hand)


@pytest.mark.slow
def test_real_nuclei_from_the_manifest_to_the_report(nuclei_folder, train, tmp_path):
    """Instance maps of real images: learned from, scored for each object, reported on and predicted."""
    with (nuclei_folder / "manifest.csv").open() as file:
        rows = [(row["image_name"], row["train_type"]) for row in csv.DictReader(file)]
    few = {split: [name for name, own in rows if own == split][:3] for split in ("train", "val", "test")}
    lines = ["image_name,train_type,mask_name"]
    for split, names in few.items():
        lines += [f"{nuclei_folder / n},{split},{nuclei_folder / 'instances' / n.split('/')[1]}" for n in names]
    manifest = tmp_path / "few.csv"
    manifest.write_text("\n".join(lines))
    run = tmp_path / "run"
    assert train(manifest, run, "--instances") == 0
    objects = sum(
        int(np.count_nonzero(np.unique(read_labels(nuclei_folder / "instances" / n.split("/")[1]))))
        for n in few["test"]
    )
    for prompts in ("apm", "oracle"):
        assert main(["evaluate", str(run), str(manifest), "--prompts", prompts, "-o", str(tmp_path / "e")]) == 0
    summary = json.loads((tmp_path / "e/summary_oracle.json").read_text())
    assert (summary["images"], summary["objects"]) == (3, objects)
    assert 0 <= summary["mean"]["panoptic_quality"] <= 1
    assert main(["report", str(run), str(manifest), "--no-budget", "-o", str(tmp_path / "r")]) == 0
    assert f"{objects} objects, each prompted separately" in (tmp_path / "r/report.html").read_text()
    images = [str(nuclei_folder / n) for n in few["test"]]
    assert main(["predict", str(run), *images, "--format", "coco", "-o", str(tmp_path / "p")]) == 0
    assert len(json.loads((tmp_path / "p/coco.json").read_text())["images"]) == 3


@pytest.mark.slow
def test_tiles_from_training_to_prediction(train, tmp_path, capsys):
    """Images of 40 x 30 pixels: in tiles of 24, and by other tiles where a user says so."""
    manifest, run = write_dataset(tmp_path / "data"), tmp_path / "run"
    assert train(manifest, run, "--tile", "24", "--overlap", "6", "--epochs", "1", "--views", "1") == 0
    assert json.loads((run / "best/config.json").read_text())["reading"]["tiles"] == {"side": 24, "overlap": 6}
    assert main(["evaluate", str(run), str(manifest), "-o", str(run / "test")]) == 0
    assert json.loads((run / "test/summary_apm.json").read_text())["reading"]["tiles"] == {"side": 24, "overlap": 6}
    assert main(["evaluate", str(run), str(manifest), "-o", str(run / "whole"), "--tile", "none"]) == 0
    assert "tiles" not in json.loads((run / "whole/summary_apm.json").read_text())["reading"]
    image, model = tmp_path / "data/images/0.png", promise_seg.load(run)
    for options, name in (
        (["--tile", "auto"], "as_trained"),
        (["--tile", "none"], "whole"),
        (["--tile", "16"], "other"),
    ):
        assert main(["predict", str(run), str(image), "-o", str(tmp_path / name), *options]) == 0
        assert np.array(Image.open(tmp_path / name / "masks/0.png")).shape == (30, 40)
    mask = np.array(Image.open(tmp_path / "as_trained/masks/0.png")) > 0
    assert np.array_equal(mask, model.predict(image).mask)
    capsys.readouterr()
    assert main(["predict", str(run), str(image), "-o", str(tmp_path / "no"), "--tile", "24", "--overlap", "24"]) == 2
    assert "--overlap 24: expected 0 to 12 pixels" in capsys.readouterr().err
