"""Exporting needs onnx and onnxruntime, which come with ``promise-seg[onnx]``; without them its tests are skipped."""

from pathlib import Path

import pytest

from promise_seg.workflows.exporting import export
from tests.exporting.models import involved_model, saved


@pytest.fixture(scope="session")
def onnx():
    """The package; ONNX Runtime is there too."""
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


@pytest.fixture(scope="session")
def involved_run(tiny_sam, tmp_path_factory) -> Path:
    """A checkpoint whose masks take every step that there is."""
    return saved(involved_model(tiny_sam), tmp_path_factory.mktemp("involved") / "run")


@pytest.fixture(scope="session")
def involved_export(onnx, involved_run, tmp_path_factory) -> Path:
    """The same, exported."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    export(involved_run, folder)
    return folder
