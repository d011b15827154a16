"""One project for all tests of security, as next to nothing is changed."""

from itertools import count

import pytest

from promise_seg.annotator.project import Options, Project
from tests.annotator.helpers import Tab
from tests.helpers import write_dataset

SEEDS = count()


@pytest.fixture(scope="module")
def shared_project(model, tmp_path_factory):
    place = tmp_path_factory.mktemp("security")
    images = write_dataset(place / "data", ("train",))
    with Project(model, [images], place / "project", Options(store=place / "store")) as project:
        yield project


@pytest.fixture
def project(shared_project):
    """One for all of these tests, as next to nothing is changed."""
    return shared_project


@pytest.fixture
def tab(client):
    tab = Tab(client, 1, seed=next(SEEDS))
    tab.open(take=True)
    for number in list(tab.objects):
        tab.act("remove", object=number)
    return tab
