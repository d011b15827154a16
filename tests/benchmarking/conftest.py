"""A benchmark that runs in seconds: two small data sets, a tiny SAM, one epoch."""

import pytest
import yaml

from tests.helpers import make_tiny_sam, write_dataset

SPEC = {
    "title": "Discs",
    "data": {
        "discs": {"manifest": "discs/manifest.csv", "tests": ["discs", "others"]},
        "others": {"manifest": "others/manifest.csv", "train": False, "by": "device"},
    },
    "sams": [{"name": "tiny", "source": "sam"}],
    "models": {
        "bare": {"variant": "sam"},
        "both": {"variant": "apm+ips"},
        "U-Net": {"variant": "unet", "epochs": 1},
    },
    "seeds": [0, 1],
    "training": {"epochs": 1, "views": 1},
}


@pytest.fixture(scope="session")
def benchmark_folder(tmp_path_factory):
    """Holds ``spec.yaml``, its data and its SAM; tests must not change them."""
    folder = tmp_path_factory.mktemp("benchmark")
    make_tiny_sam().model.save_pretrained(folder / "sam")
    write_dataset(folder / "discs", ("train",) * 4 + ("val",) * 2 + ("test",) * 4)
    others = write_dataset(folder / "others", ("test",) * 4, first=50)
    lines = others.read_text().splitlines()
    others.write_text("\n".join(f"{line},{v}" for line, v in zip(lines, ["device", "a", "a", "b", "b"], strict=True)))
    spec = SPEC | {"sams": [{"name": "tiny", "source": str(folder / "sam")}]}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


@pytest.fixture
def place(tmp_path):
    """A folder with data and a SAM of its own, which a test may change."""
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    write_dataset(tmp_path / "discs", ("train",) * 4 + ("val",) * 2 + ("test",) * 4)
    return tmp_path
