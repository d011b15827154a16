"""Arguments of a wrong type are refused by every public function, by their name and before any work."""

import inspect
import re

import numpy as np
import pytest

import promise_seg
from promise_seg.scenes import draw_scene
from tests.helpers import write_dataset


class Wrong:
    """A value that no argument accepts."""

    def __repr__(self):
        return "<wrong>"


FUNCTIONS = {
    "draw_data_set": lambda place: {"output": place / "drawn"},
    "train": lambda place: {"data": place / "data/manifest.csv", "output": place / "run"},
    "load": lambda place: {"model": "bare"},
    "predict_folder": lambda place: {"model": "bare", "images": place / "data/images", "output": place / "masks"},
    "prediction_status": lambda place: {"output": place / "masks"},
    "merge_predictions": lambda place: {"output": place / "masks"},
    "evaluate": lambda place: {"model": "bare", "data": place / "data/manifest.csv", "prompts": "oracle"},
    "compare": lambda place: {"runs": [place / "one", place / "two"]},
    "budget": lambda place: {"model": "bare", "data": place / "data/manifest.csv"},
    "export": lambda place: {"model": "bare", "output": place / "exported"},
    "bench": lambda place: {},
    "calibrate": lambda place: {"model": "bare", "data": place / "data/manifest.csv"},
    "tune_postprocess": lambda place: {"model": "bare", "data": place / "data/manifest.csv"},
    "report": lambda place: {"model": "bare", "data": place / "data/manifest.csv", "output": place / "report"},
    "benchmark": lambda place: {"spec": place / "spec.yaml", "output": place / "benchmark"},
    "make_manifest": lambda place: {"folder": place / "data", "output": place / "made.csv"},
    "import_annotations": lambda place: {"annotations": place / "a.json", "output": place / "imported.csv"},
    "fetch_archive": lambda place: {"address": "https://archive.invalid/dicom-web", "output": place / "fetched"},
    "monitored": lambda place: {},
    "Dataset.from_csv": lambda place: {"path": place / "data/manifest.csv"},
    "draw_scene": lambda place: {"seed": 0},
}
"""The arguments that each function needs, with valid values."""
OTHER_NAMES = {"path": "manifest", "classes": "class", "kind": "format"}
"""Names that messages have for arguments."""


def function_of(name):
    if name == "draw_scene":
        return draw_scene
    function = promise_seg
    for part in name.split("."):
        function = getattr(function, part)
    return function


def cases():
    for name in FUNCTIONS:
        for argument, each in inspect.signature(function_of(name)).parameters.items():
            if each.kind is not each.VAR_KEYWORD:
                yield pytest.param(name, argument, id=f"{name}-{argument}")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    write_dataset(folder / "data")
    spec = "data: {drawn: {manifest: data/manifest.csv}}\nmodels: {ips: {variant: ips}}\n"
    (folder / "spec.yaml").write_text(spec, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("name", "argument"), list(cases()))
def test_an_argument_of_a_wrong_type_is_refused_by_its_name(place, name, argument):
    with pytest.raises(promise_seg.PromiseError) as error:
        function_of(name)(**FUNCTIONS[name](place) | {argument: Wrong()})
    spellings = {argument, argument.replace("_", "-"), OTHER_NAMES.get(argument, argument)}
    assert any(re.search(rf"(^|\W){re.escape(each)}\W", str(error.value)) for each in spellings), error.value


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("draw_data_set", {"side": "a"}, "side 'a': expected a whole number"),
        ("draw_data_set", {"kinds": "cells"}, "kinds 'cells': expected a list, such as ['cells']"),
        ("draw_data_set", {"force": "no"}, "force 'no': expected True or False"),
        ("compare", {"runs": "e1"}, "runs 'e1': expected a list, such as ['e1']"),
        ("compare", {"runs": [1, 2]}, "runs: 1: expected a path or Evaluation"),
        ("compare", {"measure": "dice"}, "measure 'dice': expected a list"),
        ("export", {"opset": "17"}, "opset '17': expected a whole number"),
        ("export", {"opset": True}, "opset True: expected a whole number"),
        ("evaluate", {"progress": 3}, "progress 3: expected a function"),
        ("evaluate", {"seed": 1.5}, "seed 1.5: expected a whole number"),
        ("calibrate", {"val_share": "half"}, "val_share 'half': expected a finite number"),
        ("train", {"note": "loud"}, "note 'loud': expected a function"),
    ],
)
def test_the_message_has_the_value_and_what_was_expected(place, name, values, words):
    with pytest.raises(promise_seg.SettingsError) as error:
        function_of(name)(**FUNCTIONS[name](place) | values)
    assert str(error.value).startswith(words)


def test_numbers_of_numpy_are_taken(place):
    made = promise_seg.draw_data_set(
        place / "numpy", train=np.int64(1), val=0, test=0, side=np.int32(32), seed=np.uint8(1)
    )
    assert len(promise_seg.Dataset.from_csv(made)) == 1


def test_an_empty_list_of_images_is_refused(place):
    with pytest.raises(promise_seg.SettingsError, match=r"^images: the list is empty; expected files, folders or addr"):
        promise_seg.predict_folder("bare", [], place / "nothing")
