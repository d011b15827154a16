"""What pydantic finds wrong reaches a user in our words, with the place and the way out."""

import pytest
from pydantic import ValidationError

from promise_seg.annotator.bodies import ActionBody, GivenPoint
from promise_seg.assessment.summary import EvaluationSummary
from promise_seg.benchmarking.spec import BenchmarkSpec, DataSpec
from promise_seg.errors import SettingsError
from promise_seg.images.reading import Reading, ReadingOptions
from promise_seg.learning.answering import MeasuredAnswer
from promise_seg.learning.run_identity import RunIdentity
from promise_seg.learning.run_note import RunNote
from promise_seg.learning.settings import TrainSettings, make_settings
from promise_seg.learning.training_images import TrainingImages
from promise_seg.model import ModelConfig
from promise_seg.prompting.building import make_apm_config
from promise_seg.trust.trust_model import Calibration
from promise_seg.validation import faults_of, hint, keys_at, make_options
from promise_seg.vocabulary import ApmKind

MODELS = (
    BenchmarkSpec, Calibration, EvaluationSummary, GivenPoint, MeasuredAnswer, ModelConfig, RunIdentity, RunNote,
    TrainSettings, TrainingImages,
)  # fmt: skip
OF_PYDANTIC = ("Input should", "Extra inputs", "Field required", "a valid", "unable to", "for further information")


def faults(model, values, whole="all"):
    """Return what is said of values that a model refuses; nothing if it takes them."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return faults_of(error, model, whole)
    return ""


@pytest.mark.parametrize("model", MODELS)
def test_no_kind_of_json_in_any_field_is_answered_in_the_words_of_pydantic(model):
    said = [faults(model, values) for values in (None, 5, "text", [], {"no such key": 1})]
    for name, field in model.model_fields.items():
        values = (None, True, -1, 0.5, 10**400, "text", "", [], ["text"], [{}], {}, {"text": {"text": 1}})
        said += [faults(model, {field.alias or name: value}) for value in values]
    assert any(said)
    for words in OF_PYDANTIC:
        assert [one for one in said if words in one] == []


def test_a_typo_is_answered_by_its_place_and_the_nearest_key_or_all_of_them():
    spec = {"title": "t", "data": {"d": {"manifst": "m.csv"}}, "models": {"m": {"variant": "ips"}}}
    assert faults(BenchmarkSpec, spec) == (
        "data.0.manifest: is needed, but missing; data.0.manifst: unknown key; did you mean manifest?"
    )
    assert faults(RunNote, {"settings": {"sede": 3}}) == (
        "settings.seed: is needed, but missing; settings.sede: unknown key; did you mean seed?"
    )
    assert "expected one of label, x, y" in faults(GivenPoint, {"x": 1.0, "y": 1.0, "label": 1, "colour": 2})
    assert faults(BenchmarkSpec, 3, "spec") == "spec: expected a mapping of names to values"


@pytest.mark.parametrize(
    ("model", "place", "expected"),
    [
        (BenchmarkSpec, ("titel",), "title"),
        (BenchmarkSpec, ("data", 0, "manifst"), "manifest"),
        (ModelConfig, ("apm", "peaks", "distanse"), "distance"),
        (ModelConfig, ("reading", "tiles", "sight"), "side"),
        (ActionBody, ("action", "add", "slise"), "slice"),
    ],
)
def test_the_known_keys_are_those_of_the_place(model, place, expected):
    assert expected in keys_at(model, place)
    assert "format_version" not in keys_at(model, place)


def test_keys_of_one_kind_are_not_those_of_another():
    assert "distance" not in keys_at(ModelConfig, ("apm", "heatmap", "distanse"))
    assert keys_at(DataSpec, ("by",)) == sorted(DataSpec.model_fields)
    assert keys_at(Reading, ("tiles", "sight")) == ["overlap", "side"]


def test_nothing_is_proposed_where_nothing_is_known():
    assert hint("word", []) == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sede": 1}, "sede 1: unknown option; did you mean seed?"),
        ({"num_points": 10**9}, "--points 1000000000: expected at most 1024"),
        ({"apm": "pretrained", "apm_side": 10**9}, "--apm pretrained: --apm-side 1000000000: expected at most 4096"),
        ({"epochs": "many"}, "--epochs 'many': expected a whole number"),
    ],
)
def test_settings_are_named_as_options(values, words):
    with pytest.raises(SettingsError) as error:
        make_settings(**values)
    assert str(error.value).startswith(words)


def test_an_option_of_another_kind_of_apm_is_near_none():
    with pytest.raises(SettingsError, match=r"--apm-distanse 1: this kind has no such option; did you mean --apm-dist"):
        make_apm_config(ApmKind.PEAKS, distanse=1)


def test_options_of_reading_from_python_are_refused_in_one_line():
    with pytest.raises(SettingsError, match=r"^--window \[1\]: expected text$"):
        make_options(ReadingOptions, window=[1])
    with pytest.raises(SettingsError, match=r"^--mask-threshold high: expected a number$"):
        make_options(ReadingOptions, mask_threshold="high")
