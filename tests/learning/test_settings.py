import pytest

from promise_seg.errors import SettingsError
from promise_seg.learning.settings import TrainSettings, make_settings, with_usual_epochs
from promise_seg.prompting.apm_cross import CrossConfig
from promise_seg.vocabulary import PositionCode
from tests.helpers import first_settings


def test_a_bare_sam_has_nothing_to_train():
    with pytest.raises(SettingsError, match="nothing to train; choose apm, ips or apm"):
        make_settings(variant="sam")


def test_an_unknown_word_in_python_names_the_option_and_the_words():
    with pytest.raises(SettingsError, match=r"--variant both: expected apm, ips or apm\+ips"):
        make_settings(variant="both")


@pytest.mark.parametrize("epochs", ["many", None, 2.5])
def test_epochs_that_are_no_whole_number_are_named(epochs):
    with pytest.raises(SettingsError, match=f"^--epochs '?{epochs}'?: expected a whole number"):
        make_settings(apm="pretrained", epochs=epochs)


def test_an_option_of_one_kind_of_apm_goes_into_its_config():
    settings = make_settings(apm="cross", num_points=4, num_foreground=2, apm_position_code="reference")
    assert settings.apm_options == {"position_code": "reference"}
    assert settings.apm_config == CrossConfig(num_points=4, num_foreground=2, position_code=PositionCode.REFERENCE)
    assert TrainSettings.model_validate(settings.model_dump(mode="json")) == settings
    assert make_settings(apm="cross").apm_options == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [({"apm": "heatmap", "apm_reach": 3}, "--apm heatmap has no option reach; it has none"),
     ({"apm": "cross", "apm_reach": 3}, "--apm cross has no option reach; it has position_code"),
     ({"apm": "cross", "apm_position_code": "odd"}, "--apm cross: --apm-position-code odd: expected geometric or "),
     ({"apm": "cross", "apm_num_points": 3}, "--apm cross has no option num_points; it has position_code"),
     ({"apm": "peaks", "apm_distance": 2}, "--apm peaks: --apm-distance 2: expected at most 1"),
     ({"learning_rate": float("inf")}, "--learning-rate inf: expected a finite number"),
     ({"point_weight": float("nan")}, "--point-weight nan: expected a finite number"),
     ({"num_points": 10**12}, "--points 1000000000000: expected at most 1024"),
     ({"batch_size": 10**26}, "--batch-size 100000000000000000000000000: expected at most 1000000"),
     ({"num_points": 4, "num_foreground": 8}, "--foreground 8: exceeds --points 4"),
     ({"variant": "ips", "apm_reach": 3}, "the variant ips has no auto-prompting module; leave --apm-reach out")],
)  # fmt: skip
def test_what_the_apm_cannot_do_is_refused_in_our_words_alone(values, message):
    with pytest.raises(SettingsError, match=f"^{message}"):
        make_settings(**values)


@pytest.mark.parametrize(("classes", "epochs", "interval"), [(1, 60, 3), (2, 90, 9), (3, 120, 12), (5, 180, 18)])
def test_one_network_for_several_classes_is_trained_for_more_epochs(classes, epochs, interval):
    settings = make_settings(apm="pretrained")
    usual = with_usual_epochs(settings, 100, classes=classes)
    assert (usual.epochs, usual.val_interval) == (epochs, interval)
    assert with_usual_epochs(settings, 100, begun=settings, classes=classes) == settings
    given = with_usual_epochs(settings, 100, epochs=40, classes=classes)
    assert (given.epochs, given.val_interval) == (40, 2 if classes == 1 else 4)
    assert with_usual_epochs(settings, 100, begun=settings, epochs=40, classes=classes) == settings


@pytest.mark.parametrize(("count", "foreground"), [(1, 1), (4, 2), (5, 3), (12, 6), (16, 8), (100, 50)])
def test_half_of_the_points_are_foreground_where_nothing_is_said(count, foreground):
    """There were once always eight, which four points exceed, and of eight none was left for the background."""
    assert make_settings(apm="heatmap", num_points=count).num_foreground == foreground
    assert make_settings(apm="heatmap", num_points=100, num_foreground=3).num_foreground == 3


def test_an_impossible_number_of_points_is_the_only_fault():
    with pytest.raises(SettingsError, match=r"^--points -5: [^;]*$"):
        make_settings(apm="heatmap", num_points=-5)


def test_a_run_of_before_keeps_its_foreground_points():
    begun = first_settings(apm="heatmap", num_points=12, num_foreground=8)
    assert make_settings(begun, apm="heatmap", num_points=12).num_foreground == 8
    assert make_settings(begun, apm="heatmap", num_points=10).num_foreground == 5
