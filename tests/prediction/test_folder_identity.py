"""A folder can be used with other options as long as no prediction in it depends on them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.own_folders import PREDICTION_IDENTITY
from promise_seg.prediction.folder_identity import FolderIdentity
from promise_seg.prediction.folders import PredictionFolder, predict_folder, predict_into
from promise_seg.prediction.identity import read_identity
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.table import COLUMNS, PredictionTable
from promise_seg.storage.holders import lock_of
from promise_seg.vocabulary import OutputFormat, Slices
from tests.files import write_series
from tests.helpers import disc_image

MODEL = {"model": "a"}


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(disc_image(number)[0]).save(tmp_path / f"in/{number}.png")
    return find_inputs([tmp_path / "in"])


def test_a_run_that_predicted_nothing_leaves_the_folder_to_other_options(labeller, pictures, tmp_path):
    inputs, out = pictures, tmp_path / "out"
    failed = predict_folder(labeller, inputs, out, OutputFormat.DICOM_SEG)
    assert (failed.predicted, len(failed.problems)) == (0, len(inputs))
    assert not (out / PREDICTION_IDENTITY).exists()
    assert predict_folder(labeller, inputs, out, OutputFormat.PNG).predicted == len(inputs)


def test_an_option_without_effect_on_the_predictions_may_change(labeller, pictures, tmp_path):
    inputs, out = pictures, tmp_path / "out"
    blended = Labeller(labeller.predictors, slices=Slices.BLEND)
    predict_folder(blended, inputs, out, keep_empty_frames=True, every=2)
    assert predict_folder(labeller, inputs, out).already_there == len(inputs)
    assert read_identity(out) == labeller.identity() | {"format": "auto"}
    with pytest.raises(PromiseError, match="contains predictions in another format"):
        predict_folder(labeller, inputs, out, OutputFormat.PNG)


def test_an_option_that_predictions_depend_on_may_not_change(labeller, tmp_path):
    inputs, out = find_inputs([write_series(tmp_path / "ct")]), tmp_path / "out"
    predict_folder(Labeller(labeller.predictors, slices=Slices.BLEND), inputs, out)
    with pytest.raises(PromiseError, match="contains predictions with --slices blend"):
        predict_folder(labeller, inputs, out)


def test_a_process_that_lost_the_folder_to_another_writes_nothing(tmp_path):
    first, same = FolderIdentity(tmp_path, MODEL), FolderIdentity(tmp_path, MODEL)
    first.remove_if_empty()
    same.confirm()
    assert read_identity(tmp_path) == MODEL
    same.remove_if_empty()
    FolderIdentity(tmp_path, {"model": "b"})
    with pytest.raises(PromiseError, match="another model"):
        same.confirm()


def test_a_process_continues_with_images_after_another_replaced_options_that_they_do_not_depend_on(
    labeller, pictures, tmp_path
):
    """A volume, which depends on them, is refused: the folder would hold predictions with two kinds of options."""
    out, series = tmp_path / "out", find_inputs([write_series(tmp_path / "ct")])
    blended = Labeller(labeller.predictors, slices=Slices.BLEND)
    first = PredictionFolder(out, blended)
    assert predict_into(first, blended, pictures[:1]).predicted == 1
    assert predict_folder(labeller, pictures[:1], out).already_there == 1
    assert "slices" not in read_identity(out)
    assert predict_into(first, blended, pictures[1:]).predicted == 1
    with pytest.raises(PromiseError, match="contains predictions with --slices auto"):
        predict_into(first, blended, series)
    first.finish()
    assert all(not line["slice"] for lines in PredictionTable(out).all_lines() for line in lines)
    assert predict_folder(labeller, [*pictures, *series], out).predicted == len(series)


def lines_of(slice_, mask):
    return [dict.fromkeys(COLUMNS, "") | {"image": "a", "slice": slice_, "mask": mask, "image_sha256": "s"}]


@pytest.mark.parametrize(
    ("slice_", "mask", "option", "words"),
    [("0", "masks/a.nii.gz", {"slices": "blend"}, "with --slices blend"),
     ("", "masks/a.dcm", {"keep_empty_frames": True}, "with empty frames")],
)  # fmt: skip
def test_options_are_not_replaced_while_a_prediction_that_depends_on_them_is_recorded(
    slice_, mask, option, words, tmp_path
):
    """Otherwise the other process would look into the table just before the prediction is added."""
    (tmp_path / "masks").mkdir()
    table = PredictionTable(tmp_path)
    first = FolderIdentity(tmp_path, MODEL | option)
    table.put("b", lines_of("", "masks/b.png"))
    lines = lines_of(slice_, mask)
    with ThreadPoolExecutor(1) as pool:
        with first.recording(lines):
            other = pool.submit(FolderIdentity, tmp_path, MODEL)
            assert lock_of(tmp_path / PREDICTION_IDENTITY).exists()  # it waits for the lock, or begins later
            table.put("a", lines)
        with pytest.raises(PromiseError, match=f"contains predictions {words}"):
            other.result()
    assert read_identity(tmp_path) == MODEL | option


def test_a_prediction_is_not_recorded_with_options_that_were_replaced(tmp_path):
    table = PredictionTable(tmp_path)
    first = FolderIdentity(tmp_path, MODEL | {"slices": "blend"})
    (tmp_path / "masks").mkdir()
    table.put("b", lines_of("", "masks/b.png"))
    first.confirm()
    FolderIdentity(tmp_path, MODEL)
    recorded = []
    with pytest.raises(PromiseError, match="with --slices auto"), first.recording(lines_of("0", "masks/a.nii.gz")):
        recorded.append("a")
    assert not recorded
    with first.recording(lines_of("", "masks/a.png")):
        recorded.append("a")
    assert recorded
