"""Results never go where they would be lost."""

import pytest

from promise_seg.errors import SettingsError
from promise_seg.workflows.budget import budget
from promise_seg.workflows.evaluation import evaluate
from promise_seg.workflows.outputs import check_run_folder, refuse_checkpoints
from promise_seg.workflows.predicting import predict_folder
from promise_seg.workflows.training import train

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_of_a_run_is_no_place_for_results(place, few, name):
    run, within = place / "apm", place / "apm" / name
    before = sorted(path.name for path in within.iterdir())
    shared = {name: few[name] for name in ("sam", "device")}
    calls = (
        lambda: train(place / "data/manifest.csv", within, **few),
        lambda: evaluate(run, place / "data/manifest.csv", output=within, **shared),
        lambda: budget(run, place / "data/manifest.csv", output=within, **shared),
        lambda: predict_folder(run, place / "data/images", within, **shared),
    )
    for call in calls:
        with pytest.raises(SettingsError, match=rf"-o {within}: is a checkpoint of the run {run}, .*another folder"):
            call()
    assert sorted(path.name for path in within.iterdir()) == before


def test_a_model_without_a_run_may_hold_results_but_no_training(place):
    alone = place / "alone"
    (place / "apm/best").rename(alone)
    refuse_checkpoints(alone)
    with pytest.raises(SettingsError, match=rf"holds a model that was not trained there.*--init {alone}"):
        check_run_folder(alone)
    check_run_folder(place / "apm")
    check_run_folder(place / "new")
