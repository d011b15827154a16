"""Training and evaluation of images that are larger than a tile."""

import numpy as np
import pytest
from PIL import Image

import promise_seg
from promise_seg.checkpoint import read_config
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.images.reading import ReadingOptions
from promise_seg.images.tiles import Tiling
from promise_seg.learning import object_sizes
from promise_seg.learning.training_images import read_training_images
from promise_seg.workflows.predicting import load_labeller
from promise_seg.workflows.tiling import with_training_tiles
from tests.helpers import make_tiny_sam, write_dataset

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture(scope="module", autouse=True)
def _usual_size():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_sizes, "LEAST_SIZE", 12.0)
        yield


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Images of 72 x 90 pixels with discs of 9 to 12 pixels, which do not touch."""
    path = write_dataset(tmp_path_factory.mktemp("data"), ("train",) * 3 + ("val",) * 2 + ("test",))
    y, x = np.mgrid[0:72, 0:90]
    for number, row in enumerate(read_manifest(path)):
        rng = np.random.default_rng(number)
        image, mask = rng.integers(0, 90, (72, 90, 3)).astype(np.uint8), np.zeros((72, 90), bool)
        for column in range(10, 90, 24):
            mask |= np.hypot(x - column, y - rng.uniform(10, 60)) < rng.uniform(4, 6)
        image[mask] += 140
        Image.fromarray(image).save(row.image)
        Image.fromarray(mask.astype(np.uint8) * 255).save(row.mask)
    return path


def train(manifest, folder, said=None, **options):
    data = promise_seg.Dataset.from_csv(manifest, **options.pop("reading", {"tile": "auto"}))
    trained = []
    model = promise_seg.train(
        data, folder, sam=make_tiny_sam(), epochs=options.pop("epochs", 1), views=1, store=folder.parent / "store",
        note=(lambda _: None) if said is None else said.append, trained=trained.append, **options,
    )  # fmt: skip
    return model, trained[0].encoded


@pytest.fixture(scope="module")
def run(manifest, tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("run") / "first", []
    model, encoded = train(manifest, folder, said)
    return model, encoded, said, folder


def test_the_side_is_chosen_said_in_one_line_and_kept(run):
    model, encoded, said, folder = run
    tiles = Tiling(side=64, overlap=11)
    assert [line.split(":")[0] for line in said if "tile" in line] == ["--tile 64 --overlap 11"]
    assert "\n" not in said[0]
    assert read_config(folder / "best").reading.tiles == tiles == model.reading.tiles
    assert encoded == 5 * 2 * 2


def test_a_second_model_on_the_same_data_encodes_nothing(run, manifest):
    folder = run[3]
    assert train(manifest, folder.parent / "second", seed=1)[1] == 0


def test_a_run_goes_on_with_the_tiles_that_it_began_with(run, manifest, monkeypatch):
    monkeypatch.setattr("promise_seg.workflows.tiling.fitting_tiling", lambda *_: Tiling(side=32, overlap=8))
    said = []
    train(manifest, run[3], said)
    assert any("already finished" in line for line in said)


def test_an_overlap_that_no_image_has_room_for_is_named(manifest):
    rows, said = promise_seg.Dataset.from_csv(manifest, tile="auto", overlap=400), []
    assert with_training_tiles(rows, 64, None, "own", said.append).reading.tiles is None
    assert said[0].startswith("--tile auto: no tiles, as no train image is larger than the 800 px that would fit: ")
    assert said[0].endswith("--overlap 400 needs tiles of at least twice as much. Give a smaller one")


def test_the_overlap_of_the_tiles_of_training_may_be_another(run, manifest, tmp_path):
    found = promise_seg.evaluate(
        run[0], promise_seg.Dataset.from_csv(manifest, like=run[0].reading, tile="auto", overlap=20)
    )
    assert found.summary.reading["tiles"] == {"side": 64, "overlap": 20}
    assert load_labeller(run[0], tile="auto", overlap=20).reading.tiles == Tiling(side=64, overlap=20)
    whole = run[0].reading_as(ReadingOptions(tile="none"))
    with pytest.raises(SettingsError, match="--overlap 20: --tile auto is as in training"):
        load_labeller(whole, tile="auto", overlap=20)
    with pytest.raises(SettingsError, match="--overlap 20: --tile auto is as in training"):
        promise_seg.evaluate(whole, promise_seg.Dataset.from_csv(manifest, tile="auto", overlap=20))


def test_predictions_with_other_tiles_are_told_from_those_of_another_model(run, manifest, tmp_path):
    folder, image = tmp_path / "out", [read_manifest(manifest)[-1].image]
    promise_seg.predict_folder(run[0], image, folder, tile=32, overlap=8)
    promise_seg.predict_folder(run[0], image, folder, tile=32, overlap=8)
    with pytest.raises(PromiseError, match=r"contains predictions with --tile 32 --overlap 8\. Choose another"):
        promise_seg.predict_folder(run[0], image, folder)
    promise_seg.predict_folder(run[0], image, tmp_path / "usual", tile="auto")
    with pytest.raises(PromiseError, match="contains predictions of images that were read as in training"):
        promise_seg.predict_folder(run[0], image, tmp_path / "usual", tile="none")


def test_images_are_known_to_be_trained_on_whatever_their_tiles(run, manifest):
    rows = promise_seg.Dataset.from_csv(manifest)
    assert len(read_training_images(run[3]).trained_on(rows)) == 3


def test_images_are_scored_as_a_whole(run, manifest):
    model, _, _, folder = run
    store = folder.parent / "store"
    found = promise_seg.evaluate(model, manifest, store=store)
    assert found.summary.images == 1
    assert found.summary.reading["tiles"] == {"side": 64, "overlap": 11}
    (row,) = promise_seg.Dataset.from_csv(manifest, split="test")
    predicted, truth = model.predict(row.row.image).mask, row.mask()
    dice = 2 * np.count_nonzero(predicted & truth) / max(predicted.sum() + truth.sum(), 1)
    assert found.mean["dice"] == pytest.approx(dice, abs=0.02)
    assert any("no trust scores: they are calibrated for single tiles" in note for note in found.notes)
    whole = promise_seg.Dataset.from_csv(manifest, like=model.reading, tile="none")
    assert promise_seg.evaluate(model, whole, store=store).summary.reading.get("tiles") is None


@pytest.mark.parametrize("prompts", ["box", "oracle"])
def test_prompts_of_a_person_are_for_whole_images(run, manifest, prompts):
    with pytest.raises(SettingsError, match=r"90 x 72 pixels, which are seen in tiles: .*Give --tile none"):
        promise_seg.evaluate(run[0], manifest, prompts=prompts)
    with pytest.raises(SettingsError, match="Give --tile none"):
        promise_seg.budget(run[0], manifest)


def test_a_report_refuses_prompts_of_a_person_before_it_scores_and_leaves_the_budget_out(run, manifest, tmp_path):
    stages = []
    with pytest.raises(SettingsError, match="seen in tiles"):
        promise_seg.report(run[0], manifest, tmp_path / "a", progress=lambda stage, *_: stages.append(stage))
    assert not any("prompts" in stage for stage in stages)
    made = promise_seg.report(run[0], manifest, tmp_path / "b", prompts=["apm"], images=False)
    assert made.document.budget == ()
    assert any(note.startswith("the prompt error budget is not measured") for note in made.notes)
    page = (tmp_path / "b/report.html").read_text()
    assert "The prompt error budget is not measured: it compares the prompts of whole images" in page
    quiet = promise_seg.report(run[0], manifest, tmp_path / "c", prompts=["apm"], images=False, budget=False)
    assert not any("budget" in note for note in quiet.notes)


def test_objects_that_are_larger_than_a_tile(manifest, tmp_path):
    y, x = np.mgrid[0:72, 0:90]
    for row in read_manifest(manifest):
        (tmp_path / row.mask.name).parent.mkdir(exist_ok=True)
        Image.fromarray((np.hypot(x - 40, y - 36) < 30).astype(np.uint8) * 255).save(tmp_path / row.mask.name)
    lines = ["image_name,train_type,mask_name"]
    lines += [f"{row.image},{row.split},{tmp_path / row.mask.name}" for row in read_manifest(manifest)]
    (tmp_path / "large.csv").write_text("\n".join(lines))
    with pytest.raises(SettingsError, match=r"--tile 32: half of the objects .* longer, 59 px and more.*--tile auto"):
        train(tmp_path / "large.csv", tmp_path / "run", reading={"tile": 32})
    said: list[str] = []
    train(tmp_path / "large.csv", tmp_path / "run", said)
    assert said[0].startswith("--tile auto: no tiles, as no train image is larger than the 192 px")
    assert read_config(tmp_path / "run" / "best").reading.tiles is None


def test_the_published_procedure_sees_whole_images(manifest, tmp_path):
    with pytest.raises(SettingsError, match="--protocol reference: sees whole images"):
        train(manifest, tmp_path / "run", protocol="reference", apm="resnet", reading={"tile": 64})
