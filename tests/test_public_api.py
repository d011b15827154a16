"""What ``import promise_seg`` gives, and that it keeps pace with the commands."""

import inspect
import subprocess
import sys

import pytest

import promise_seg
from promise_seg.cli import (
    benchmark,
    budget,
    calibrate,
    compare,
    data_draw,
    data_fetch,
    data_make,
    evaluate,
    export,
    predict,
    report,
    train,
    tune,
)
from promise_seg.images.reading import ReadingOptions

READING = set(ReadingOptions.model_fields)
NAMES = {"run": "model", "label": "classes"}
"""What a command calls otherwise than a function does: a word of the command line, which Python keeps for itself."""


def test_importing_it_imports_no_torch():
    code = (
        "import sys, promise_seg; "
        "print([name for name in ('torch', 'numpy', 'transformers', 'pydantic', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented():
    for name in promise_seg.__all__:
        found = getattr(promise_seg, name)
        assert name == "__version__" or inspect.getdoc(found), name
    assert dir(promise_seg) == sorted(promise_seg.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'fly'"):
        _ = promise_seg.fly


def test_errors_have_one_base():
    kinds = [getattr(promise_seg, name) for name in promise_seg.__all__ if name.endswith("Error")]
    assert len(kinds) == 7
    assert all(issubclass(kind, promise_seg.PromiseError) for kind in kinds)


OTHERS = {"merge": promise_seg.merge_predictions, "status": promise_seg.prediction_status}
"""Options by which a command does what another function does."""


def options_of(command, *, without=()):
    other = {"context", "schema", *OTHERS, *without}
    names = {NAMES.get(name, name) for name in inspect.signature(command).parameters} - other
    return {name for name in names if not name.startswith("apm_")}  # options of one kind of APM go by any name


def arguments_of(function):
    return set(inspect.signature(function).parameters) - {"progress", "note", "trained", "apm_options"}


@pytest.mark.parametrize(
    ("command", "function"),
    [(evaluate.evaluate, promise_seg.evaluate), (budget.budget, promise_seg.budget),
     (report.report, promise_seg.report), (train.train, promise_seg.train)],
)  # fmt: skip
def test_a_function_on_a_data_set_has_the_options_of_its_command(command, function):
    assert options_of(command, without=READING) - {"classes"} == arguments_of(function)


@pytest.mark.parametrize(
    ("command", "function"),
    [(predict.predict, promise_seg.predict_folder), (calibrate.calibrate, promise_seg.calibrate),
     (tune.tune, promise_seg.tune_postprocess), (compare.compare, promise_seg.compare),
     (benchmark.benchmark, promise_seg.benchmark), (data_make.make, promise_seg.make_manifest),
     (export.export, promise_seg.export), (data_draw.draw, promise_seg.draw_data_set)],
)  # fmt: skip
def test_a_function_has_the_options_of_its_command(command, function):
    assert options_of(command) == arguments_of(function)


def test_fetching_from_an_archive_has_the_options_of_the_command_that_are_for_archives():
    others = {"list_sets", "given", "accept_licence", "url", "sha256", "test_list", "name"}
    assert options_of(data_fetch.fetch, without=others) | {"address"} == arguments_of(promise_seg.fetch_archive)


def test_a_data_set_has_the_options_of_reading_files():
    wanted = {NAMES.get(name, name) for name in READING} | {"path", "split", "val_share", "seed", "like"}
    assert arguments_of(promise_seg.Dataset.from_csv) == wanted


@pytest.mark.parametrize(
    ("command", "function"),
    [(evaluate.evaluate, promise_seg.evaluate), (budget.budget, promise_seg.budget),
     (report.report, promise_seg.report), (predict.predict, promise_seg.predict_folder),
     (export.export, promise_seg.export)],
)  # fmt: skip
def test_defaults_are_those_of_the_command(command, function):
    ours, theirs = inspect.signature(function).parameters, inspect.signature(command).parameters
    for name in set(ours) & set(theirs):
        default = theirs[name].default
        if default is not inspect.Parameter.empty and ours[name].default is not inspect.Parameter.empty:
            assert ours[name].default == (() if default is None and ours[name].default == () else default), name


def test_every_function_says_what_it_takes_and_raises():
    for name in ("train", "evaluate", "load", "predict_folder", "report", "compare", "budget", "benchmark", "calibrate",
                 "tune_postprocess", "import_annotations", "make_manifest", "export", "merge_predictions",
                 "prediction_status", "monitored", "fetch_archive"):  # fmt: skip
        function = getattr(promise_seg, name)
        text = inspect.getdoc(function)
        for argument in inspect.signature(function).parameters:
            assert f"    {argument}: " in text, (name, argument)
        assert "Raises:" in text, name
