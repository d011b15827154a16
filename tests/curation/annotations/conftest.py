"""A folder with one image."""

from pathlib import Path

import pytest

from tests.curation.annotations.helpers import write_image


@pytest.fixture
def folder(tmp_path) -> Path:
    write_image(tmp_path / "data/a.png")
    return tmp_path / "data"
