import numpy as np
import pytest
from PIL import Image

from promise_seg.dataset.checks import CheckedRow, check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.trust.calibrating import calibrate
from promise_seg.trust.trust_model import TrustModel
from tests.helpers import make_model, write_dataset


@pytest.fixture
def model(tiny_sam):
    return make_model(tiny_sam).eval()


@pytest.fixture
def rows(tmp_path) -> dict[str, list[CheckedRow]]:
    """Checked rows by split: 8 to train, 16 in 8 groups to validate, the first two of them with nothing in the mask."""
    manifest = write_dataset(tmp_path / "trust-data", ("train",) * 8 + ("val",) * 16)
    for number in (8, 9):
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(manifest.parent / f"masks/{number}.png")
    checked = check_rows(read_manifest(manifest))
    return {split: [row for row in checked if row.row.split == split] for split in ("train", "val")}


@pytest.fixture
def trust(model, rows) -> TrustModel:
    return calibrate(model, rows["train"], rows["val"])
