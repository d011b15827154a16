"""The files that pages speak of: a small trained run, pictures, a volume, a manifest."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promise_seg.cli.main import main
from promise_seg.scenes import draw_scene
from tests.files import write_nifti
from tests.helpers import write_dataset


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory) -> Path:
    """Small images with a manifest, ``my.csv``."""
    folder = tmp_path_factory.mktemp("documented-data")
    write_dataset(folder, ("train",) * 4 + ("val",) * 2 + ("test",) * 2).rename(folder / "my.csv")
    return folder


@pytest.fixture(scope="session")
def trained_run(data_folder, tmp_path_factory) -> Path:
    """One epoch of ``apm+ips`` around the nano SAM, calibrated."""
    folder = tmp_path_factory.mktemp("documented-run")
    command = ["train", data_folder / "my.csv", "-o", folder / "run", "--variant", "apm+ips", "--epochs", 1,
               "--views", 1, "--batch-size", 4, "--store", folder / "store", "--device", "cpu"]  # fmt: skip
    assert main([str(word) for word in command]) == 0
    return folder / "run"


@pytest.fixture
def provide(data_folder, trained_run, tmp_path, monkeypatch) -> Callable[[list[str]], Path]:
    """Go to a fresh folder that holds files of these names, and return it.

    ``runs/...`` is a trained run, ``*.csv`` a manifest beside its images and masks, ``*.png`` a picture of 320 by 240
    pixels, ``*.nii.gz`` a volume with 48 axial slices; a name that ends in ``/`` is a folder of three pictures.
    """
    place = tmp_path / "documented"

    def make(name: str) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("runs/"):
            shutil.copytree(trained_run, path)
        elif name.endswith("/"):
            for number in range(3):
                make(f"{name}{number}.png")
        elif name.endswith(".csv"):
            shutil.copytree(data_folder, path.parent, dirs_exist_ok=True)
            (path.parent / "my.csv").rename(path)
        elif name.endswith(".png"):
            scene = draw_scene(seed=3, size=320, kind="mucosa").image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(scene)[:240]).save(path)
        elif name.endswith(".nii.gz"):
            write_nifti(path, np.random.default_rng(0).integers(-200, 300, (40, 36, 48)).astype(np.int16))
        else:
            raise ValueError(f"{name}: the tests cannot make such a file; teach tests/documentation/conftest.py")

    def provide(names: list[str]) -> Path:
        place.mkdir()
        for name in names:
            make(name)
        monkeypatch.chdir(place)
        return place

    return provide
