"""The rule for volumes is the simplest that is about as good as the best on validation volumes."""

from types import SimpleNamespace

import numpy as np
import pytest

from promise_seg.assessment import volume_tuning
from promise_seg.assessment.joined_rows import Stack
from promise_seg.assessment.volume_tuning import LEAST_SHARES, simplest, tune_volumes, ways_to_clean, ways_to_join
from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.reading import Reading
from promise_seg.rules.postprocessing import NO_POST
from promise_seg.rules.volume_rule import EACH_SLICE, VolumeRule
from promise_seg.vocabulary import Slices
from tests.assessment.volume_rows import rows_of
from tests.volumes.stand_in import StandIn, bar, collected_from


@pytest.fixture
def tuned(monkeypatch):
    """Tunes on two volumes of which the model finds ``own`` and in which ``there`` is right."""

    def tune(own, there, spacing=(2.0, 1.0, 1.0), **options):
        model = StandIn()
        model.apm, model.eval, model.config = object(), lambda: None, SimpleNamespace(postprocessing=NO_POST)
        monkeypatch.setattr(CheckedRow, "mask", lambda row: there[row.index])

        def collect(_, volume, store, keeps_features):
            stack = Stack(tuple(row.index for row in volume.rows), volume.spacing, volume.lacking)
            return collected_from(own, there, stack, model)

        monkeypatch.setattr(volume_tuning, "collect_rows", collect)
        rows = [row for name in ("a.nii", "b.nii") for row in rows_of(there, name=name, spacing=spacing)]
        return tune_volumes(model, rows, **options)

    return tune


def test_slices_that_are_right_stay_by_themselves(tuned):
    found = tuned(bar([2, 3, 4]), bar([2, 3, 4]))
    assert not found.chosen.changes
    assert (found.dice, found.dice_without, found.best_dice, found.volumes) == (1, 1, 1, 2)


def test_what_was_missed_makes_slices_agree(tuned):
    found = tuned(bar([1, 2, 4, 5]), bar([1, 2, 3, 4, 5]))
    assert found.chosen.slices in (Slices.AGREE, Slices.BLEND)
    assert found.dice > found.dice_without + 0.05
    by_themselves = tuned(bar([1, 2, 4, 5]), bar([1, 2, 3, 4, 5]), ways=[Slices.EACH])
    assert by_themselves.chosen.slices == Slices.EACH


def test_specks_make_components_count_by_their_size(tuned):
    own = bar([2, 3, 4])
    own[:, 0, 0] = own[3, 13:, 13:] = True
    found = tuned(own, bar([2, 3, 4]), ways=[Slices.EACH])
    assert found.chosen.cleans
    assert found.dice == 1
    sizes = {one.least_mm3 for one in ways_to_clean(EACH_SLICE, 2.0 * bar([2, 3, 4]).sum())}
    assert found.chosen.least_mm3 in sizes


def test_without_distances_no_size_is_tried(tuned):
    own = bar([2, 3, 4])
    own[3, 13:, 13:] = True
    found = tuned(own, bar([2, 3, 4]), spacing=None, ways=[Slices.EACH])
    assert (found.chosen.keep, found.chosen.least_mm3, found.chosen.step_mm) == ("largest", 0, 1)


def test_cavities_that_are_never_there_are_filled(tuned):
    own = bar([1, 2, 3, 4, 5])
    own[2:5, 7:9, 6:8] = False
    found = tuned(own, bar([1, 2, 3, 4, 5]), ways=[Slices.EACH])
    assert found.chosen.fill_holes
    assert found.dice == 1


def test_images_instance_maps_and_models_without_apm_have_no_rule(tuned):
    model = SimpleNamespace(apm=None)
    assert tune_volumes(model, rows_of(bar([1]))) is None
    model = SimpleNamespace(apm=object(), eval=lambda: None)
    assert tune_volumes(model, rows_of(bar([1]), only=[1])) is None
    instances = Reading(masks="instances")
    rows = [CheckedRow(**(vars(row) | {"reading": instances})) for row in rows_of(bar([1]))]
    assert tune_volumes(model, rows) is None


def test_candidates_are_the_simplest_first():
    ways = ways_to_join(5.0)
    assert ways[0] == VolumeRule(step_mm=5.0)
    assert {one.blend_mm for one in ways if one.slices == Slices.BLEND} == {2.5, 5.0, 7.5}
    assert len(set(map(str, ways))) == len(ways)
    cleanings = ways_to_clean(ways[-1], 1234.5)
    assert cleanings[0] == ways[-1]
    assert len(cleanings) == 2 * (2 + len(LEAST_SHARES))
    assert simplest([0.5, 0.9001, 0.9005]) == 1
    assert simplest(np.array([0.9, 0.9])) == 0


def test_kernels_share_what_was_carried(tuned, monkeypatch):
    """SAM is asked once for each way to carry, not for each kernel."""
    made = []

    class Counted(volume_tuning.Carried):
        def __init__(self, collected, rule, threshold):
            made.append((rule.carry, rule.carried))
            super().__init__(collected, rule, threshold)

    monkeypatch.setattr(volume_tuning, "Carried", Counted)
    tuned(bar([1, 2, 4, 5]), bar([1, 2, 3, 4, 5]))
    assert len(made) == 2 * len(set(made)) == 8
