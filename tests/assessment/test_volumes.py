"""3-D scores, beside those of SimpleITK; and which slices make a volume."""

import numpy as np
import pytest
import SimpleITK as sitk

from promise_seg.assessment.measuring import Tolerance, Unit
from promise_seg.assessment.volume_slices import volumes_of
from promise_seg.assessment.volumes import VOLUME_MEASURES, VolumeScorer, score_volume, volume_tolerance
from promise_seg.dataset.checks import CheckedRow
from tests.assessment.volume_rows import SPACING, blob, rows_of, scored

BOX = np.zeros((6, 20, 30), bool)
BOX[1:5, 5:15, 5:25] = True
EMPTY = np.zeros_like(BOX)


def volume(truth, **changes):
    """The volume whose slices are those of a mask (D, H, W)."""
    return volumes_of(rows_of(truth, **changes))[0][0]


def by_itk(predicted, truth, spacing, tolerance):
    """The same measures of two masks (D, H, W), by SimpleITK alone; ``spacing`` is that of slices, rows, columns."""

    def image(mask):
        found = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
        found.SetSpacing(spacing[::-1])
        return found

    one, other = image(predicted), image(truth)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(other, one)
    contours = [sitk.LabelContour(mask, fullyConnected=False) for mask in (one, other)]
    distances = []
    for here, there in (contours, contours[::-1]):
        far = sitk.SignedMaurerDistanceMap(there, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
        distances.append(np.maximum(sitk.GetArrayFromImage(far)[sitk.GetArrayFromImage(here) > 0], 0))
    together = np.concatenate(distances)
    return {
        "dice": overlap.GetDiceCoefficient(),
        "iou": overlap.GetJaccardCoefficient(),
        "hd95": max(np.percentile(one_way, 95) for one_way in distances),
        "assd": together.mean(),
        "surface_dice": (together <= tolerance).mean(),
    }


@pytest.mark.parametrize("seed", range(10))
def test_ten_anisotropic_volumes_as_simpleitk_scores_them(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers((4, 20, 20), (14, 40, 40)))
    spacing = tuple(float(mm) for mm in rng.uniform((1.5, 0.3, 0.3), (6.0, 1.2, 1.2)))
    truth, predicted = blob(seed, shape), blob(seed, shape, 0.7) | blob(seed + 100, shape, 0.95)
    found = score_volume(volume(truth, spacing=spacing), predicted, truth, 1.5).measures
    assert tuple(found) == VOLUME_MEASURES
    for name, value in by_itk(predicted, truth, spacing, 1.5).items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize(("moved", "apart"), [(0, 3.0), (1, 0.7), (2, 0.9)])
def test_a_shift_by_one_voxel_is_as_long_as_the_voxel(moved, apart):
    voxel = np.zeros((6, 20, 30), bool)
    voxel[2, 9, 12] = True
    found = score_volume(volume(voxel), np.roll(voxel, 1, moved), voxel, 2.0).measures
    assert found["hd95"] == pytest.approx(apart)
    assert found["assd"] == pytest.approx(apart)
    assert found["surface_dice"] == (apart <= 2.0)


def test_3_d_overlap_is_not_the_mean_of_the_slices():
    predicted = BOX.copy()
    predicted[1, 6:] = False  # one slice of four nearly missed, another without the object half filled
    predicted[0, :10] = True
    (found,) = scored(rows_of(BOX), predicted, BOX).scores()
    hits = (predicted & BOX).sum()
    assert found.measures["dice"] == pytest.approx(2 * hits / (predicted.sum() + BOX.sum()))
    assert found.measures["precision"] == pytest.approx(hits / predicted.sum())
    assert found.measures["recall"] == pytest.approx(hits / BOX.sum())


def test_the_rule_for_volumes_without_the_object():
    diagonal = pytest.approx(np.linalg.norm(np.array(BOX.shape) * SPACING))
    nothing = {"dice": 0, "iou": 0, "precision": 0, "hd95": diagonal, "assd": diagonal, "surface_dice": 0}
    rows = volume(BOX)
    perfect = {name: 0 if name in ("hd95", "assd") else 1 for name in VOLUME_MEASURES}
    assert score_volume(rows, EMPTY, EMPTY, 2.0).measures == perfect
    assert score_volume(rows, BOX, EMPTY, 2.0).measures == nothing | {"recall": 1}
    missed = score_volume(rows, EMPTY, BOX, 2.0)
    assert missed.measures == nothing | {"recall": 0}
    assert (missed.has_truth, missed.has_prediction) == (True, False)


def test_slices_of_several_volumes_may_come_in_any_order():
    """Each volume is an image with a mask, in a split and a group: two readers of one image are two volumes."""
    other = np.roll(BOX, 2, 2)
    first, second = rows_of(BOX), rows_of(other, mask="second-reader.nii.gz")
    mixed = [one for pair in zip(first, second[::-1], strict=True) for one in pair]
    scorer = VolumeScorer(mixed)
    for row in mixed:
        truth = BOX if row.row.mask == first[0].row.mask else other
        scorer.add(row, BOX[row.index], truth[row.index])
    assert [one.measures["dice"] for one in scorer.scores()] == [1, pytest.approx(0.9)]
    assert len({one.hashes()[1] for one in scorer.scores()}) == 2
    assert scorer.notes() == ()


def test_a_range_of_slices_is_scored_but_not_called_whole():
    scorer = scored(rows_of(BOX, only=range(1, 4)), BOX, BOX)
    (found,) = scorer.scores()
    assert found.volume.is_part
    assert found.measures["hd95"] == 0
    (note,) = scorer.notes()
    assert note == (
        "1 of 1 volumes are scored in part, as not all of their slices are rows, for example ct.nii.gz: 3 of 6"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"only": (1, 2, 4)}, "not all slices between its first and its last are rows"),
     ({"spacing": (None, 0.7, 0.9)}, "it does not state the distance between its slices"),
     ({"spacing": None}, "it does not state the distance between its slices")],
)  # fmt: skip
def test_without_the_places_of_slices_there_is_overlap_alone(changes, words):
    scorer = scored(rows_of(BOX, **changes), BOX, BOX)
    (found,) = scorer.scores()
    assert tuple(found.measures) == ("dice", "iou", "precision", "recall")
    assert scorer.notes()[-1] == (
        f"1 of 1 volumes have no distances and no surface Dice in 3-D, for example ct.nii.gz: {words}"
    )


def test_without_the_size_of_pixels_too():
    (row, *_) = rows = [CheckedRow(**(vars(one) | {"spacing": None})) for one in rows_of(BOX)]
    assert row.stacking.spacing == SPACING[0]
    assert scored(rows, BOX, BOX).scores()[0].volume.lacking == "its pixel size is not known"


def test_a_single_slice_of_a_volume_and_a_picture_are_no_volumes():
    picture = [CheckedRow(**(vars(one) | {"is_slice": False, "stacking": None})) for one in rows_of(BOX, only=(2,))]
    assert scored(picture, BOX, BOX).scores() == scored(picture, BOX, BOX).notes() == ()
    flat = rows_of(BOX[2:3])
    assert scored(flat, BOX[2:3], BOX[2:3]).scores() == scored(flat, BOX[2:3], BOX[2:3]).notes() == ()
    scorer = scored(rows_of(BOX, only=(2,)), BOX, BOX)
    assert scorer.scores() == ()
    assert "only one of their slices is a row, for example ct.nii.gz: 1 of 6" in scorer.notes()[0]


def test_a_slice_that_is_named_twice_counts_once():
    rows = rows_of(BOX)
    (found,) = scored([*rows, rows[2], rows[0]], BOX, BOX).scores()
    assert len(found.rows) == 6
    assert not found.volume.is_part


def test_the_tolerance_of_volumes_is_always_in_millimetres():
    assert volume_tolerance(Tolerance(3.0, Unit.PIXELS)) == Tolerance(2.0, Unit.MILLIMETRES)
    assert volume_tolerance(Tolerance(1.5, Unit.MILLIMETRES)) == Tolerance(1.5, Unit.MILLIMETRES)
