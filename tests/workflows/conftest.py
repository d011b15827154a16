import shutil

import numpy as np
import pytest
from PIL import Image

from promise_seg.dataset.dataset import Dataset
from promise_seg.monitoring.monitored import monitored
from promise_seg.vocabulary import Variant
from promise_seg.workflows.training import train
from tests.helpers import make_tiny_sam, write_dataset

FEW = {"epochs": 2, "batch_size": 3, "views": 2, "device": "cpu"}


def write_label_maps(folder):
    """Images and masks of the classes 1 and 3; returns the manifest's path."""
    manifest = write_dataset(folder)
    for path in (folder / "masks").iterdir():
        labels = np.asarray(Image.open(path)) // 255
        labels[:5] = 3
        Image.fromarray(labels.astype(np.uint8)).save(path)
    return manifest


@pytest.fixture(scope="session")
def _runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("workflows")
    make_tiny_sam().model.save_pretrained(place / "sam")
    data = write_dataset(place / "data")
    classes = Dataset.from_csv(write_label_maps(place / "classes"), classes="all")
    shared = FEW | {"sam": str(place / "sam"), "store": place / "store"}
    train(data, place / "apm", variant=Variant.APM, **shared)
    train(data, place / "ips", variant=Variant.IPS, **shared)
    with monitored(log_file=place / "set.jsonl"):
        train(classes, place / "set", variant=Variant.APM, **shared)
    return place


@pytest.fixture
def place(_runs, tmp_path):
    """A folder with runs that a test may change (``apm``, ``ips``, and ``set`` of the classes 1 and 3), their ``data``
    and ``classes``, the ``sam``, the ``store`` and ``set.jsonl``, the log of the training of ``set``."""
    for name in ("apm", "ips", "set"):
        shutil.copytree(_runs / name, tmp_path / name)
    for name in ("sam", "data", "classes", "store", "set.jsonl"):
        (tmp_path / name).symlink_to(_runs / name)
    return tmp_path


@pytest.fixture
def few(place):
    """Options of a short training."""
    return FEW | {"sam": str(place / "sam"), "store": place / "store"}
