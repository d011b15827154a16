"""Groups of options: what a command gets, and what the function that it calls takes."""

import inspect

import pytest

from promise_seg.cli import features
from promise_seg.cli.groups import OPENING, VALIDATION, Group, with_groups
from promise_seg.cli.reading_options import READING, TILING
from promise_seg.images.reading import ReadingOptions
from promise_seg.workflows import calibrating
from promise_seg.workflows.feature_plans import FeatureWork
from promise_seg.workflows.models import open_models
from promise_seg.workflows.predicting import predict_folder

PAIR = Group({"first": (int, 1), "second": (str, "two")})


@with_groups(pair=PAIR, other=Group({"third": (float, 3.0)}, make=lambda third: third))
def command(name: str, pair: dict[str, object], *, loud: bool = False, other: float) -> object:
    return name, pair, loud, other


def test_the_options_of_a_group_stand_where_the_command_names_it():
    found = inspect.signature(command).parameters
    assert [(one.name, one.annotation, one.default) for one in found.values()] == [
        ("name", str, inspect.Parameter.empty),
        ("first", int, 1),
        ("second", str, "two"),
        ("loud", bool, False),
        ("third", float, 3.0),
    ]


def test_a_command_gets_the_values_of_each_group_as_one_argument():
    assert command(name="x", first=5, second="six", third=7.0) == ("x", {"first": 5, "second": "six"}, False, 7.0)


def test_a_part_of_a_group_keeps_its_order_and_defaults():
    assert list(PAIR.only("second", "first").options) == ["first", "second"]
    assert PAIR.without("first").options == {"second": (str, "two")}


@pytest.mark.parametrize(
    ("group", "function"),
    [
        (OPENING, open_models),
        (VALIDATION, calibrating.calibrate),
        (VALIDATION, calibrating.tune_postprocess),
        (TILING, predict_folder),
        (READING, ReadingOptions),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_function_takes_the_options_of_the_group_with_their_defaults(group, function):
    taken = inspect.signature(function).parameters
    assert {name: taken[name].default for name in group.options} == {
        name: default for name, (_, default) in group.options.items()
    }


def test_the_work_on_features_takes_the_options_of_its_command():
    settings = {"variant", "apm", "fit", "views", "augmentation", "seed"}
    of_encoding = {"context", "part", "ray", "ray_cpus"}
    options = set(inspect.signature(features.encode).parameters) - of_encoding - ReadingOptions.model_fields.keys()
    taken = set(inspect.signature(FeatureWork).parameters) - {"note", "given"}
    assert options - settings == taken
    assert settings < options
