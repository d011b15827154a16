"""Each script in ``benchmarks/`` can be started, and with the options that the documentation gives it."""

import argparse
import importlib
import inspect
import re
import sys

import pytest
import torch
from benchmarks.exported import model_around
from benchmarks.stored_features import NoStore

from promise_seg.features.store import FeatureStore
from promise_seg.sam.loading import NANO, load_sam
from tests.documentation.test_links_and_layers import PAGES, ROOT

SCRIPTS = sorted((ROOT / "benchmarks").glob("[!_]*.py"))
_COMMAND = re.compile(r"^ *(?:\w+=\w+ )*python -m benchmarks\.(?P<script>\w+)(?P<options>[^\n\[`#]*)$", re.MULTILINE)
COMMANDS = sorted({
    (found["script"], *found["options"].split())
    for path in (*PAGES, *SCRIPTS)
    for found in _COMMAND.finditer(path.read_text(encoding="utf-8"))
})  # fmt: skip


class Parsed(Exception):
    """The command line was accepted; nothing more is run."""


@pytest.fixture
def parses_alone(monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_end(parser, *given):
        parse(parser, *given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_of_the_documentation_are_accepted(words, monkeypatch, parses_alone):
    script, *options = words
    monkeypatch.setattr(sys, "argv", [script, *options])
    with pytest.raises(Parsed):
        importlib.import_module(f"benchmarks.{script}").main()


def test_each_script_is_in_the_documentation_or_says_how_it_is_run():
    assert {path.stem for path in SCRIPTS} <= {words[0] for words in COMMANDS} | {"nano_scenes"}


def test_the_exported_model_is_what_training_makes_by_default():
    torch.manual_seed(0)
    model = model_around(load_sam(NANO))
    assert model.apm is not None
    assert (model.config.apm.map_stride, model.config.apm.map_norm, model.config.apm.looks) == (2, "none", 2)


@pytest.mark.parametrize("name", ["get", "put"])
def test_the_store_that_keeps_nothing_is_called_as_any_other(name):
    ours, theirs = (inspect.signature(getattr(cls, name)).parameters for cls in (NoStore, FeatureStore))
    assert list(ours) == list(theirs)
