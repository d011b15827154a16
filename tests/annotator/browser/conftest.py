"""The real server with the nano SAM, and the page in Chromium."""

from itertools import count

import pytest
import torch
from PIL import Image

from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import ApmKind, Variant
from promise_seg.workflows.models import Model, load
from tests.annotator.browser.driving import LONGEST_MS, Annotator
from tests.helpers import small_apm_config

SIDE = 96
IMAGES = 12
CLASSES = ("1=polyp", "2=vessel", "3=tool")


def proposing(seed):
    """The nano SAM with an APM that has learned nothing: its points are arbitrary, and always the same."""
    bare = load("bare", device="cpu")
    torch.manual_seed(seed)
    config = ModelConfig(
        variant=Variant.APM, apm=small_apm_config(ApmKind.HEATMAP), sam=bare.sam.name, sam_sha256=bare.sam.sha256,
        image_size=bare.sam.image_size, promise_seg_version="0",
    )  # fmt: skip
    return Model(bare.ref, bare.part, PromiseModel(config, bare.sam).eval())


def let_all_go(project):
    """Let go of all images for pages that were closed: a browser that closes may be slow to tell."""
    for image in project.catalogue.numbers:
        if lease := project.leases.holder(image):
            project.leases.give_back(image, lease.client)


@pytest.fixture(scope="session")
def proposing_model():
    """A model that proposes."""
    return proposing(1)


@pytest.fixture(scope="module")
def lasting_leases():
    """No lease ends, and no page asks for its own again by itself, however long a test takes."""
    pytest.importorskip("promise_seg.annotator.project")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("leases", "project"):
            patch.setattr(f"promise_seg.annotator.{module}.LEASE_SECONDS", 36_000.0)
        yield


@pytest.fixture(scope="module")
def more_options():
    """Further choices for the project of a file of tests."""
    return {}


@pytest.fixture(scope="module")
def project(proposing_model, lasting_leases, more_options, tmp_path_factory):
    """A project of drawn scenes, in use."""
    project_module = pytest.importorskip("promise_seg.annotator.project")
    place = tmp_path_factory.mktemp("annotator")
    (place / "images").mkdir()
    for number in range(IMAGES):
        Image.fromarray(draw_scene([5, number], SIDE, kind="mucosa").image).save(place / f"images/{number:02d}.png")
    options = project_module.Options(names=CLASSES, store=place / "store", **more_options)
    with project_module.Project(proposing_model, [place / "images"], place / "project", options) as project:
        yield project


@pytest.fixture(scope="module")
def access(project):
    """What knows the address of the server."""
    running = pytest.importorskip("promise_seg.annotator.running").running
    with running(project) as access:
        yield access


@pytest.fixture(scope="module")
def next_image():
    """Numbers of images, so that each test has one that no other has touched."""
    return count(1)


@pytest.fixture
def forgiven():
    """What a browser says by itself of answers that a test provokes; a test adds to it."""
    return set()


@pytest.fixture
def open_page(browser, project, access, next_image, forgiven):
    """Opens the page at an image of its own; at the end nothing must have been said or asked of others."""
    complaints, requests, contexts = [], [], []

    def open_at(width=1280, height=800, image=None, **settings):
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        context.set_default_timeout(LONGEST_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{access.address}#image={next(next_image) if image is None else image}")
        return Annotator(page).ready()

    yield open_at
    for context in contexts:
        context.close()
    let_all_go(project)
    assert [words for words in complaints if not any(one in words for one in forgiven)] == []
    own = (f"http://127.0.0.1:{access.port}/", "blob:", "data:image/")
    assert [url for url in requests if not url.startswith(own)] == []


@pytest.fixture
def annotator(open_page):
    """The page at 1280 x 800 px."""
    return open_page()
