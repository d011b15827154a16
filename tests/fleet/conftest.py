"""Workers go to the folder in which a command was given: those that run in the process of the tests, too."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _comes_back(monkeypatch):
    monkeypatch.chdir(Path.cwd())
