import json
import os
import platform
import sys
from importlib import metadata

import torch

from promise_seg.environment import Environment, collect_environment


def test_versions_and_hardware_are_those_of_this_machine():
    found = collect_environment(torch.device("cpu"))
    assert found.versions["torch"] == metadata.version("torch")
    assert found.versions["python"] == platform.python_version()
    assert set(found.versions) == {
        "promise-seg", "python", "torch", "transformers", "monai", "numpy", "pysodmetrics"
    }  # fmt: skip
    assert found.cores >= 1
    if sys.platform == "linux":
        assert found.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found.device == "cpu"
    assert found.processor
    assert found.operating_system.endswith(platform.machine())


def test_it_does_not_tell_whose_machine_it_is(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    monkeypatch.setenv("USER", "secret-user")
    assert "secret" not in collect_environment(torch.device("cpu")).model_dump_json()


def test_it_survives_being_written():
    found = collect_environment(torch.device("cpu"))
    assert Environment.model_validate(json.loads(found.model_dump_json())) == found


def test_a_package_that_is_not_installed_is_not_known(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert collect_environment(torch.device("cpu")).versions["monai"] == "not known"
