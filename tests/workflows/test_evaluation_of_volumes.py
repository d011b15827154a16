"""Whole evaluations of volumes: files, terminal, comparison and report, of what a model predicts slice by slice."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.comparing import read_scored
from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.evaluation import evaluate as score_slices
from promise_seg.cli.main import main
from promise_seg.dataset.dataset import Dataset
from promise_seg.storage.sealed import opened
from promise_seg.vocabulary import PromptSource
from promise_seg.workflows.by_class import ByClass
from promise_seg.workflows.comparing import compare
from promise_seg.workflows.evaluation import evaluate
from promise_seg.workflows.models import load
from tests.assessment.test_volumes import by_itk
from tests.files import write_metaimage, write_nifti, write_nrrd, write_series
from tests.helpers import make_tiny_sam, strict_json

pytestmark = pytest.mark.slow  # each command or training takes a second or more

SPACING = (3.0, 0.5, 0.8)
COUNT = 5


def volume(seed):
    """A bright ball (D, H, W) on noise, and its mask; the first slice is without it."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[0:COUNT, 0:32, 0:40]
    mask = np.sqrt((3 * (z - 3)) ** 2 + (y - 14) ** 2 + (x - rng.uniform(12, 26)) ** 2) < rng.uniform(7, 9)
    return (rng.integers(0, 90, mask.shape) + 140 * mask).astype(np.uint8), mask.astype(np.uint8)


def place_of_itk(array):
    """Columns, rows, slices, with the affine of an image that ITK has at the origin."""
    return np.ascontiguousarray(array.T), np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0])


def nifti(folder, name, array):
    return write_nifti(folder / f"{name}.nii.gz", *place_of_itk(array))


def nrrd(folder, name, array):
    header = {"space": "left-posterior-superior", "space directions": np.diag(SPACING[::-1]), "space origin": [0, 0, 0]}
    return write_nrrd(folder / f"{name}.nrrd", place_of_itk(array)[0], header)


def metaimage(folder, name, array):
    return write_metaimage(folder / f"{name}.mha", array, spacing=SPACING[::-1])


def series(folder, name, array):
    return write_series(folder / name, array.astype(np.int16), step=3.0, spacing=SPACING[1:], origin=(0, 0, 0))


FORMATS = {"nifti": (nifti, nifti), "nrrd": (nrrd, nrrd), "metaimage": (metaimage, metaimage), "dicom": (series, nifti)}


def write_manifest(folder, volumes, lines=("",)):
    """A row for each of ``lines``, the column ``slice``, of each volume; two volumes are of one patient."""
    rows = ["image_name,train_type,mask_name,group,slice"]
    rows += [f"{i},test,{m},p{n // 2},{line}" for n, (i, m) in enumerate(volumes) for line in lines]
    path = folder / "m.csv"
    path.write_text("\n".join(rows))
    return path


def write_volumes(folder, kind="nifti", count=3):
    folder.mkdir(parents=True, exist_ok=True)
    image, mask = FORMATS[kind]
    made = [volume(seed) for seed in range(count)]
    return [(image(folder, f"i{n}", i).name, mask(folder, f"m{n}", m).name) for n, (i, m) in enumerate(made)]


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes") / "sam"
    make_tiny_sam().model.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def score(sam, tmp_path):
    """Evaluates a bare SAM with boxes."""
    return lambda path, **options: evaluate(
        "bare", path, **({"prompts": "box", "sam": sam, "device": "cpu", "store": tmp_path / "store"} | options)
    )


def by_hand(sam, path, seed):
    """What the same model makes of each slice of a volume by the same prompts, scored by SimpleITK."""
    model, (_, truth) = load("bare", sam=sam, device="cpu"), volume(seed)
    kept = {}
    rows = Dataset.from_csv(path).rows
    rows = [row for row in rows if row.row.image.name.startswith(f"i{seed}")]
    score_slices(
        model.model, rows, Assessment(prompts=PromptSource.BOX),
        keep=lambda row, predicted, _: kept.update({row.index: predicted}),
    )  # fmt: skip
    predicted = np.stack([kept[index] for index in range(COUNT)])
    assert 0 < predicted.sum() < predicted.size
    return by_itk(predicted, truth.astype(bool), SPACING, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_scores_of_volumes_are_simpleitk_s_in_the_file_s_own_millimetres(score, sam, tmp_path, kind):
    path = write_manifest(tmp_path, write_volumes(tmp_path, kind, count=2))
    found = score(path, output=tmp_path / "out")
    with (tmp_path / "out/volumes_box.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for seed, line in enumerate(lines):
        for name, value in by_hand(sam, path, seed).items():
            assert float(line[name]) == pytest.approx(value, rel=1e-5, abs=2e-6), name
    assert [one.name for one in found.files] == ["scores_box.csv", "summary_box.json", "volumes_box.csv"]
    assert [record["dice"] for record in found.volume_records()] == pytest.approx(
        [float(line["dice"]) for line in lines], abs=1e-6
    )


def test_the_summary_has_slices_and_volumes(score, tmp_path):
    found = score(write_manifest(tmp_path, write_volumes(tmp_path)), output=tmp_path / "out")
    summary = strict_json(tmp_path / "out/summary_box.json")
    assert (summary["images"], summary["volumes"]["volumes"], summary["volumes"]["groups"]) == (15, 3, 2)
    assert summary["volumes"]["slices_with_empty_truth"] > 0
    assert summary["mean"]["dice"] != summary["volumes"]["mean"]["dice"]
    assert len(summary["volumes"]["interval"]["dice"]) == 2
    page = found._repr_html_()
    assert "3 volumes of 15 slices, in 2 groups" in page
    assert "<td>hd95 (mm)</td>" in page


@pytest.mark.slow
def test_a_row_for_each_slice_is_the_same_volume(score, tmp_path):
    volumes = write_volumes(tmp_path)
    whole = score(write_manifest(tmp_path, volumes))
    single = score(write_manifest(tmp_path, volumes, lines=[str(n) for n in reversed(range(COUNT))]))
    halves = score(write_manifest(tmp_path, volumes, lines=["2-4", "0-1"]))
    assert single.volume_records() == halves.volume_records() == whole.volume_records()


def test_dicom_files_with_a_picture_each_are_the_volume_of_their_series(score, tmp_path):
    """Their folder with one mask for all is the same volume."""
    ((folder, mask),) = write_volumes(tmp_path, "dicom", count=1)
    truth, pairs = volume(0)[1], []
    for number, path in enumerate(sorted((tmp_path / folder).iterdir(), reverse=True)):
        Image.fromarray(truth[number] * 255).save(tmp_path / f"{path.name}.png")
        pairs.append((f"{folder}/{path.name}", f"{path.name}.png"))
    window = {"window": "0,500"}
    whole = score(Dataset.from_csv(write_manifest(tmp_path, [(folder, mask)]), **window))
    lines = ["image_name,train_type,mask_name,group", *(f"{image},test,{own},p0" for image, own in pairs)]
    (tmp_path / "files.csv").write_text("\n".join(lines))
    found = score(Dataset.from_csv(tmp_path / "files.csv", **window), output=tmp_path / "out")
    (one,), (other,) = whole.volume_records(), found.volume_records()
    assert (one["slices_of_volume"], other["slices_of_volume"]) == (COUNT, None)
    assert other == one | {"slices_of_volume": None}
    assert read_scored(tmp_path / "out").volumes is not None


def test_some_slices_are_not_called_a_volume(score, tmp_path):
    found = score(write_manifest(tmp_path, write_volumes(tmp_path), lines=["1-3"]))
    assert found.summary.volumes.parts == 3
    assert any("3 of 3 volumes are scored in part" in note and "3 of 5" in note for note in found.notes)


def test_a_tilted_volume_has_overlap_alone_and_says_why(score, tmp_path):
    (image, mask), *others = write_volumes(tmp_path)
    for name in (image, mask):
        array = np.asarray(nib.load(tmp_path / name).dataobj)
        affine = np.diag([-0.8, -0.5, 3.0, 1.0])
        affine[1, 2] = 0.6
        write_nifti(tmp_path / name, array, affine)
    found = score(write_manifest(tmp_path, [(image, mask), *others]))
    assert "hd95" not in found.volume_records()[0]
    assert found.summary.volumes.volumes_without_distances == 1
    assert any("i0.nii.gz: its slices are tilted by 11.3 degrees" in note for note in found.notes)


def test_pictures_have_no_volumes_and_an_older_file_of_some_goes(score, tmp_path):
    path = write_manifest(tmp_path, write_volumes(tmp_path))
    score(path, output=tmp_path / "out")
    image, mask = volume(0)
    Image.fromarray(image[2]).save(tmp_path / "i.png")
    Image.fromarray(mask[2]).save(tmp_path / "m.png")
    found = score(write_manifest(tmp_path, [("i.png", "m.png")]), output=tmp_path / "out")
    assert found.volumes == ()
    assert found.summary.volumes is None
    assert not (tmp_path / "out/volumes_box.csv").exists()
    assert "volumes" not in strict_json(tmp_path / "out/summary_box.json")


def test_the_published_procedure_has_none(score, tmp_path):
    found = score(write_manifest(tmp_path, write_volumes(tmp_path)), protocol="reference")
    assert (found.volumes, found.summary.volumes) == ((), None)
    assert not any("volume" in note for note in found.notes)


def test_classes_of_label_maps_have_volumes_of_their_own(score, tmp_path):
    names = write_volumes(tmp_path)
    for n, (_, mask) in enumerate(names):
        labels = volume(n)[1]
        labels[:, :4] = 3
        nifti(tmp_path, mask.removesuffix(".nii.gz"), labels)
    path = write_manifest(tmp_path, names)
    one, three = (score(Dataset.from_csv(path, classes=label)) for label in (1, 3))
    assert not isinstance(one, ByClass)
    assert one.volumes[0].hashes()[0] == three.volumes[0].hashes()[0]
    assert one.volumes[0].hashes()[1] != three.volumes[0].hashes()[1]
    assert one.summary.volumes.mean["dice"] != three.summary.volumes.mean["dice"]
    assert three.summary.volumes.slices_with_empty_truth == 0


@pytest.fixture
def two(score, tmp_path):
    """Two evaluations of six volumes of three patients."""
    path = write_manifest(tmp_path, write_volumes(tmp_path, count=6))
    return [score(path, output=tmp_path / name, prompts=name) for name in ("box", "oracle")]


def test_comparisons_are_of_slices_and_of_volumes(two, tmp_path, capsys):
    found = compare(two, measure=("dice", "hd95"))
    assert [(one.of, one.measure) for one in found.pairs] == [
        ("images", "dice"), ("images", "hd95"), ("volumes", "dice"), ("volumes", "hd95")
    ]  # fmt: skip
    assert (found.images, found.volumes, found.groups) == (30, 6, 3)
    means = [one.summary.volumes.mean["dice"] for one in two]
    assert found.pairs[2].difference.interval.mean == pytest.approx(means[1] - means[0], abs=1e-5)
    assert main(["compare", str(tmp_path / "box"), str(tmp_path / "oracle"), "--measure", "hd95"]) == 0
    out = capsys.readouterr().out
    assert "hd95 (mm)" in out
    assert "30 images and 6 volumes in 3 groups" in out
    assert {one.of for one in compare(two, measure=["mae"]).pairs} == {"images"}


@pytest.mark.parametrize("lost", ["file", "summary"])
def test_evaluations_of_before_are_compared_by_their_images(two, tmp_path, lost):
    if lost == "file":
        (tmp_path / "box/volumes_box.csv").unlink()
    else:
        summary = tmp_path / "box/summary_box.json"
        facts = opened(strict_json(summary))
        del facts["volumes"]
        summary.write_text(json.dumps(facts))
    assert read_scored(tmp_path / "box").volumes is None
    found = compare(two)
    assert found.volumes == 0
    assert {one.of for one in found.pairs} == {"images"}
    assert any("volumes are not compared" in note for note in found.notes)


def test_volumes_in_fewer_groups_than_their_slices_are_noted(two, tmp_path):
    """As in evaluations of earlier versions, in which each DICOM file was its own group."""
    for name in ("box", "oracle"):
        summary, table = tmp_path / name / f"summary_{name}.json", tmp_path / name / f"scores_{name}.csv"
        facts = opened(strict_json(summary))
        del facts["scores_sha256"]
        summary.write_text(json.dumps(facts))
        header, *lines = csv.reader(table.read_text().splitlines())
        lines = [[str(n) if head == "group" else cell for head, cell in zip(header, line, strict=True)]
                 for n, line in enumerate(lines)]  # fmt: skip
        table.write_text("\n".join(map(",".join, [header, *lines])))
    found = compare(two)
    assert found.groups == 30
    assert found.notes[-1] == "volumes are in 3 groups: too few for Wilcoxon's test to find anything"


def test_the_command_and_the_report_show_both(sam, tmp_path, capsys):
    path = write_manifest(tmp_path, write_volumes(tmp_path), lines=["1-4"])
    options = ["--sam", sam, "--device", "cpu", "--prompts", "box"]
    assert main(["evaluate", "bare", str(path), "-o", str(tmp_path / "out"), *options]) == 0
    captured = capsys.readouterr()
    assert "3 volumes, 3 of them in part, of 12 slices; tolerance of surface Dice: 2mm" in captured.out
    assert "measure of volumes" in captured.out
    assert "volumes_box.csv" in captured.err
    folder = tmp_path / "report"
    assert main(["report", "bare", str(path), "-o", str(folder), "--no-budget", "--worst", "1", *options]) == 0
    (evaluation,) = strict_json(folder / "report.json")["evaluations"]
    assert evaluation["volumes"]["mean"] == strict_json(tmp_path / "out/summary_box.json")["volumes"]["mean"]
    page = (folder / "report.html").read_text()
    assert "Means over 3 volumes, 3 of them in part, of 12 slices" in page
    assert "3 of 3 volumes are scored in part" in page
