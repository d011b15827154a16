"""A project with a tiny model, and a client that talks to its server without a network."""

import nibabel as nib
import numpy as np
import pytest
from starlette.testclient import TestClient

from promise_seg.annotator.access import Access
from promise_seg.annotator.app import create_app
from promise_seg.annotator.project import Options, Project
from tests.annotator.helpers import PORT, Tab, model_around
from tests.helpers import write_dataset


@pytest.fixture(scope="session")
def model(tiny_sam):
    return model_around(tiny_sam)


@pytest.fixture(scope="session")
def other_model(tiny_sam):
    """A model with other weights."""
    other = model_around(tiny_sam)
    for parameter in other.model.apm.parameters():
        parameter.data += 0.05
    return other


@pytest.fixture
def five_pictures(tmp_path):
    """A folder of pictures without a manifest: each is a group of its own."""
    return write_dataset(tmp_path / "data", ("train",) * 5).parent / "images"


@pytest.fixture
def images(tmp_path):
    """The manifest of three pictures."""
    return write_dataset(tmp_path / "data", ("train", "train", "val"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "project"


@pytest.fixture
def project(model, images, folder):
    with Project(model, [images], folder, Options(user="ada", truth=True)) as project:
        yield project


@pytest.fixture
def access():
    return Access(PORT)


@pytest.fixture
def server(project, access):
    return create_app(project, access)


@pytest.fixture
def stranger(server):
    """A client that never saw the token."""
    return TestClient(server, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False)


@pytest.fixture
def client(stranger, access):
    """A client that opened the printed address."""
    assert stranger.get(f"/?token={access.token}").status_code == 200
    stranger.headers["origin"] = f"http://127.0.0.1:{PORT}"
    return stranger


@pytest.fixture
def tab(client):
    """A tab that holds the first image."""
    tab = Tab(client, 1)
    assert tab.open().status_code == 200
    return tab


@pytest.fixture
def volume(tmp_path):
    """A NIfTI volume of five slices with a bright ball."""
    z, y, x = np.mgrid[0:5, 0:30, 0:40]
    values = np.where(np.hypot(x - 20, y - 15) < 9, 300.0, -200.0) + 10 * z
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(values.transpose(2, 1, 0).astype(np.float32), np.diag([-1, -1, 2, 1])), path)
    return path
