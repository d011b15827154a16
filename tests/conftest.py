"""Fixtures: a tiny random SAM, and a small data set on disk. Nothing here needs a download."""

import importlib.util
import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("COLUMNS", None)  # the processes of pytest-xdist have the width of a terminal

import hypothesis
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from promise_seg.dataset.checks import CheckedRow, check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.learning import curves, object_sizes
from promise_seg.learning.run_log import read_log
from promise_seg.learning.settings import PRESETS
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.official_files import load_official
from promise_seg.storage.files import write_whole
from promise_seg.storage.remote_paths import _root_at
from promise_seg.vocabulary import ApmKind, Protocol
from tests.helpers import make_tiny_sam, write_dataset

SHARED = Path(__file__).parents[2] / "shared"
LONGEST = (
    "crash/test_crashes.py",
    "damage/test_damage.py",
    "compat/test_reference.py",
    "exporting/test_export.py",
    "annotator/browser/test_objects.py",
    "cli/test_data_kinds.py",
    "benchmarking/test_running.py",
    "documentation/test_python.py",
    "test_places.py",
    "images/formats/test_limits.py",
    "images/formats/test_fuzz.py",
    "documentation/test_tutorials.py",
    "parallel/test_killed_processes.py",
    "cli/test_slurm.py",
    "annotator/browser/test_lost_answers.py",
)
"""The files that take longest, about 20 seconds and more, from the longest on."""
_draw_curves = curves.draw_curves


def pytest_configure(config):
    """Let pytest-xdist hand out files in the order of the collection.

    By itself it begins with those of most tests, and those of a few long ones come last, when the other process has
    nothing left to do.
    """
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Begin with the longest files; all else stays in its order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    assert all(path.is_file() for path in places), "a file of LONGEST is no longer there"
    items.sort(key=lambda item: places.get(item.path, len(places)))


# Examples are the same in every run, as all other random numbers are.
# To look for new ones: --hypothesis-profile=default
# Nor does a test fail because drawing its examples takes long, as on a busy computer.
hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _same_random_numbers():
    """Each test starts from the same global random numbers, whichever tests ran before it, or none."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _store_of_the_session(tmp_path_factory):
    """No fixture that several tests share touches the user's feature store or SAMs.

    Features that are there may be of another processor, which computes other last digits.
    """
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMISE_SEG_STORE", str(folder / "features"))
        patch.setenv("PROMISE_SEG_SAMS", str(folder / "sams"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _unsynced():
    """No test waits for the disk: what a power cut does to files is another question than what is in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_training():
    """Where a test says nothing, training is quick: with an APM without a backbone, and SAM at its usual size.

    Tests of the defaults name them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS[Protocol.OWN], "apm", ApmKind.HEATMAP)
        patch.setattr(object_sizes, "LEAST_SIZE", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _small_curves():
    """Trainings draw no curves, which took a quarter of the time of small ones; see :func:`real_curves`."""

    def draw(log: Path, picture: Path) -> None:
        assert read_log(log)
        write_whole(picture, Image.new("L", (2, 2)).save)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "draw_curves", draw)
        yield


@pytest.fixture
def real_curves(monkeypatch):
    """Trainings draw their curves."""
    monkeypatch.setattr(curves, "draw_curves", _draw_curves)


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    """No test touches the user's feature store or SAMs, or those of another test."""
    monkeypatch.setenv("PROMISE_SEG_STORE", str(tmp_path / "default-store"))
    monkeypatch.setenv("PROMISE_SEG_SAMS", str(tmp_path / "default-sams"))


@pytest.fixture(scope="session")
def tiny_sam() -> FrozenSam:
    return make_tiny_sam()


@pytest.fixture
def manifest(tmp_path) -> Path:
    return write_dataset(tmp_path / "data")


@pytest.fixture
def checked(manifest) -> list[CheckedRow]:
    return check_rows(read_manifest(manifest))


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture
def images() -> torch.Tensor:
    """Two random images for the tiny SAM."""
    return torch.randint(0, 256, (2, 32, 32, 3), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium without a window, through Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not on this machine")
    quiet = ("--no-sandbox", "--disable-background-networking", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-component-update", "--disable-sync")  # fmt: skip
    sync_api.expect.set_options(timeout=60_000)  # on however busy a computer
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=list(quiet), timeout=180_000)
        yield found
        found.close()


@pytest.fixture(scope="session")
def s3_server():
    """The port of a server that speaks S3."""
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'promise-seg[s3]'")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed: pip install 'moto[server]'")
    found = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    yield found.get_host_and_port()[1]
    found.stop()


@pytest.fixture
def s3_at(s3_server, monkeypatch, tmp_path):
    """Let S3 be at a port: that of the server, with an empty bucket, or of a proxy."""
    import fsspec
    import s3fs

    def at(port):
        for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "DEFAULT_REGION": "us-east-1",
                            "ENDPOINT_URL": f"http://127.0.0.1:{port}"}.items():  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        s3fs.S3FileSystem.clear_instance_cache()
        _root_at.cache_clear()

    monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / "copies"))
    at(s3_server)
    system = fsspec.filesystem("s3", use_listings_cache=False)
    with suppress(FileNotFoundError):
        system.rm("bucket", recursive=True)
    system.mkdir("bucket")
    yield at
    s3fs.S3FileSystem.clear_instance_cache()
    _root_at.cache_clear()


@pytest.fixture(scope="session")
def golden() -> Path:
    folder = SHARED / "golden"
    if not folder.exists():
        pytest.skip("the golden outputs (../shared/golden) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def polyp_manifest() -> Path:
    path = SHARED / "data" / "polyp" / "manifest.csv"
    if not path.exists():
        pytest.skip("the polyp images (../shared/data/polyp) are not on this machine")
    return path


@pytest.fixture(scope="session")
def nuclei_folder() -> Path:
    folder = SHARED / "data" / "nuclei"
    if not folder.exists():
        pytest.skip("the nuclei images (../shared/data/nuclei) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def fill(golden):
    """The module that makes the stand-in weights and the golden picture."""
    spec = importlib.util.spec_from_file_location("fill", golden / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden_state(golden, fill):
    """Stand-in weights of a reference model, by the name of its file of shapes."""

    def state(name: str) -> dict[str, torch.Tensor]:
        shapes = json.loads((golden / f"{name}.json").read_text())
        return {key: torch.from_numpy(fill.fill(key, tuple(shape))) for key, shape in shapes.items()}

    return state


@pytest.fixture(scope="session")
def official_file(golden_state, tmp_path_factory):
    """A ViT-B checkpoint as the official implementation would save it."""
    path = tmp_path_factory.mktemp("official") / "sam_vit_b_01ec64.pth"
    torch.save(golden_state("sam_vit_b"), path)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def golden_sam(official_file, fill):
    """ViT-B with stand-in weights, and its features of the golden picture."""
    sam = FrozenSam(load_official(official_file)[0], "vit_b")
    return sam, sam.encode(torch.from_numpy(fill.image())[None])
