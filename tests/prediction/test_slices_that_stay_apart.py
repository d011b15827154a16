"""Slices that do not come together: those seen in tiles, and frames of videos; the same in every way to predict."""

from dataclasses import replace

import numpy as np
import pytest

from promise_seg.assessment.joined_rows import JoinedRows
from promise_seg.assessment.volume_slices import volumes_to_join
from promise_seg.assessment.volume_tuning import tune_volumes
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.images.reading import make_reading
from promise_seg.parallel.parts import Part
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.part_run import predict_part
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import Slices
from promise_seg.volumes import collecting
from promise_seg.volumes.collecting import CollectedSlices
from tests.files import write_nifti, write_video
from tests.helpers import make_model
from tests.prediction.part_helpers import content

RULE = VolumeRule(slices="blend", blend_mm=3.0, keep="largest")
AFFINE = np.diag([-0.8, -0.5, 3.0, 1.0])
NOTE = "its slices are divided into tiles, so the rule for volumes was not applied"


def predictor_of(sam, rule: VolumeRule | None = RULE, **reading) -> Predictor:
    model = make_model(sam)
    model.config = model.config.model_copy(update={"volumes": rule, "reading": make_reading(**reading)})
    return Predictor(model)


def in_tiles(sam, rule: VolumeRule | None = RULE) -> Predictor:
    return predictor_of(sam, rule, tile=20, overlap=4)


@pytest.fixture
def volume(tmp_path):
    """Slices of 24 x 20 pixels, with their mask in a manifest."""
    return with_mask(tmp_path, np.random.default_rng(5).integers(0, 200, (20, 24, 2)).astype(np.uint8))


def with_mask(folder, values):
    write_nifti(folder / "mask.nii", (values > 100).astype(np.uint8), AFFINE)
    (folder / "m.csv").write_text("image_name,train_type,mask_name\nct.nii,val,mask.nii\n")
    return write_nifti(folder / "ct.nii", values, AFFINE)


def rows_of(folder, predictor):
    tiles = predictor.model.config.reading.tiles
    options = {} if tiles is None else {"tile": tiles.side, "overlap": tiles.overlap}
    return Dataset.from_csv(folder / "m.csv", **options).rows


def test_a_rule_for_volumes_leaves_slices_that_are_seen_in_tiles(tiny_sam, volume, tmp_path):
    predictor = in_tiles(tiny_sam)
    plain = Labeller({1: in_tiles(tiny_sam, None)})
    by_themselves = [plain.label_image(open_source(volume), number).labels > 0 for number in range(2)]
    for slices in (Slices.AUTO, Slices.EACH):
        labelled = Labeller({1: predictor}, slices=slices).label(open_source(volume))
        assert np.array_equal(np.stack([one.labels > 0 for one in labelled.slices]), by_themselves)
        assert labelled.notes == (f"{volume}: {NOTE}",)
        found = predictor.predict_volume(volume, slices=slices)
        assert np.array_equal(np.stack([one.mask for one in found.slices]), by_themselves)
        assert np.array_equal(found.mask, found.source.frame.from_slices(np.stack(by_themselves)))
        assert found.notes == (f"{volume}: {NOTE}",)
    joined = JoinedRows(predictor.model, rows_of(tmp_path, predictor), RULE)
    assert [joined.of(row) for row in rows_of(tmp_path, predictor)] == [None] * 2
    assert joined.notes() == (NOTE,)
    assert volumes_to_join(rows_of(tmp_path, predictor)) == []
    assert in_tiles(tiny_sam, None).predict_volume(np.zeros((2, 24, 20), np.uint8)).notes == ()


def test_slices_that_are_to_come_together_are_refused_before_they_are_encoded(tiny_sam, volume, tmp_path, monkeypatch):
    predictor = in_tiles(tiny_sam, None)
    monkeypatch.setattr(Predictor, "encode_framed", lambda *_: pytest.fail("it was encoded"))
    for slices in (Slices.BLEND, Slices.AGREE):
        outcome = predict_folder(Labeller({1: predictor}, slices=slices), find_inputs([volume]), tmp_path / slices)
        (problem,) = outcome.problems
        assert f"{volume}: its slices of 20 x 24 pixels are divided into tiles of 20 pixels" in problem
        assert "Give --slices each, or --tile none to read them whole" in problem
        with pytest.raises(ImageError, match=r"ct\.nii: its slices of 20 x 24 pixels"):
            predictor.predict_volume(volume, slices=slices)
    with pytest.raises(ImageError, match="a volume in memory: its slices of 20 x 24 pixels"):
        predictor.predict_volume(np.zeros((2, 24, 20), np.uint8), slices="blend")


@pytest.mark.slow
@pytest.mark.parametrize("predictor_for", [in_tiles, predictor_of])
def test_parts_of_volumes_with_a_rule_are_what_one_process_makes(tiny_sam, volume, tmp_path, predictor_for):
    write_nifti(tmp_path / "other.nii", np.zeros((16, 18, 2), np.uint8), AFFINE)
    inputs = find_inputs([volume, tmp_path / "other.nii"])
    labeller = Labeller({1: predictor_for(tiny_sam)}, slices=Slices.EACH)
    whole = predict_folder(labeller, inputs, tmp_path / "whole")
    assert (whole.predicted, whole.problems) == (2, [])
    for number in (2, 1):
        outcome = predict_part(labeller, inputs, tmp_path / "parts", part=Part.parse(f"{number}/2"))
        assert outcome.problems == []
    merge_parts(tmp_path / "parts")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_frames_of_a_video_stay_as_they_are_in_every_way(tiny_sam, tmp_path):
    frames = np.random.default_rng(1).integers(0, 255, (3, 32, 40, 3)).astype(np.uint8)
    clip = write_video(tmp_path / "clip.avi", frames)
    np.save(tmp_path / "mask.npy", (frames[..., 0] > 99).astype(np.uint8))
    (tmp_path / "m.csv").write_text("image_name,train_type,mask_name\nclip.avi,val,mask.npy\n")
    predictor = predictor_of(tiny_sam)
    rows = rows_of(tmp_path, predictor)
    expected = [predictor.predict(predictor.encode(clip, number)).mask for number in range(3)]
    found = predictor.predict_volume(clip)
    assert np.array_equal(found.mask, expected)
    assert np.array_equal(found.slices[1].mask, expected[1])
    assert found.notes == ()
    labelled = Labeller({1: predictor}).label(open_source(clip))
    assert np.array_equal(np.stack([one.labels > 0 for one in labelled.slices]), expected)
    asked = predictor.predict_volume(clip, slices="blend")
    assert np.array_equal(asked.mask, expected)
    assert asked.notes == (f"{clip}: its frames are a sequence in time, so they are predicted separately",)
    joined = JoinedRows(predictor.model, rows, RULE)
    assert [joined.of(row) for row in rows] == [None] * 3
    assert joined.notes() == ("the rule for volumes is not used for videos: their frames follow one another in time",)
    assert volumes_to_join(rows) == []


def test_a_volume_of_one_slice_is_cleaned_in_evaluations_too(tiny_sam, tmp_path):
    path = with_mask(tmp_path, np.random.default_rng(5).integers(0, 200, (20, 24, 1)).astype(np.uint8))
    predictor = predictor_of(tiny_sam)
    (row,) = rows_of(tmp_path, predictor)
    joined = JoinedRows(predictor.model, [row], RULE).of(row)
    found = predictor.predict_volume(path)
    assert np.array_equal(found.source.frame.from_slices(joined.mask[None]), found.mask)
    assert found.mask.sum() < predictor_of(tiny_sam, None).predict_volume(path).mask.sum()


def test_a_slice_that_is_named_twice_does_not_make_its_volume_come_again(tiny_sam, volume, tmp_path, monkeypatch):
    predictor, made = predictor_of(tiny_sam), []
    first, *others = rows_of(tmp_path, predictor)
    again = replace(first, row=replace(first.row, where="m.csv:9"))
    rows = [first, again, *others]
    joined = JoinedRows(predictor.model, rows, RULE)
    opened = joined._joined
    monkeypatch.setattr(joined, "_joined", lambda one: made.append(one) or opened(one))
    masks = [joined.of(row).mask for row in rows]
    assert np.array_equal(masks[0], masks[1])
    assert len(made) == 1
    assert joined._open == {}


def test_classes_that_share_their_sam_keep_its_features_once(tiny_sam, volume, monkeypatch):
    arrays = []
    put = collecting.KeptArrays.put
    monkeypatch.setattr(
        collecting.KeptArrays, "put", lambda self, key, array: (arrays.append(key), put(self, key, array))[1]
    )
    rule = VolumeRule(slices="agree", blend_mm=0.0)
    classes = {label: predictor_of(tiny_sam, rule) for label in (1, 2)}
    both = Labeller(classes).label(open_source(volume))
    names = [key for key in arrays if isinstance(key, tuple)]
    assert len(names) == len(set(names)) == 2
    one = Labeller({1: classes[1]}).label(open_source(volume))
    assert np.array_equal(both.stack == 1, one.stack > 0)


def test_features_are_kept_only_for_slices_that_may_agree(tiny_sam, volume, tmp_path, monkeypatch):
    made = []
    start = CollectedSlices.__init__

    def counted(self, *args, keeps_features, **options):
        made.append(keeps_features)
        start(self, *args, keeps_features=keeps_features, **options)

    monkeypatch.setattr(CollectedSlices, "__init__", counted)
    predictor = predictor_of(tiny_sam, None)
    rows = rows_of(tmp_path, predictor)
    assert tune_volumes(predictor.model, rows, ways=[Slices.BLEND]).volumes == 1
    assert made == [False]
