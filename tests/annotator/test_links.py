"""Sequences of operations that follow the links of the OpenAPI document: no answer is that of a server that failed."""

import os
import shutil
import uuid
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from starlette.testclient import TestClient

from promise_seg.annotator.access import Access
from promise_seg.annotator.app import create_app
from promise_seg.annotator.project import Options, Project
from tests.annotator.helpers import API, PORT, client_of
from tests.annotator.learning import Pretended, accept

EXAMPLES = int(os.environ.get("PROMISE_SEG_SEQUENCES", "10"))
"""Sequences; to look for more faults, set the variable."""
STEPS = 30
"""Operations of each."""
ORIGIN = f"http://127.0.0.1:{PORT}"
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=True, database=None, deadline=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip


def operations(document):
    """Everything that can be asked, by its id."""
    found = (operation for methods in document["paths"].values() for operation in methods.values())
    return {operation["operationId"]: operation for operation in found}


def links(document):
    return [
        link
        for operation in operations(document).values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]


class Served:
    """The server of a project that begins anew whenever that is asked for, always with the same accepted images."""

    def __init__(self, model, images, folder):
        self._open = lambda: Project(model, [images], folder / "now", options)
        options = Options(user="ada", store=folder / "store", learning=Pretended(model))
        self._folder, self._access, self._project = folder, Access(PORT), None
        with self._open() as project, client_of(project) as client:
            accept(client, 1, 2, 3)  # so that there is something to train on
        (folder / "now").rename(folder / "begun")
        self.begin()
        client = TestClient(self, base_url=ORIGIN)
        client.get("/", params={"token": self._access.token})
        self.document = client.get(f"{API}/openapi.json").json()
        self.headers = {
            "origin": ORIGIN,
            "cookie": "; ".join(f"{key}={value}" for key, value in client.cookies.items()),
        }

    def begin(self):
        self.end()
        shutil.copytree(self._folder / "begun", self._folder / "now")
        self._project = self._open().__enter__()
        self._app = create_app(self._project, self._access)

    def end(self):
        if self._project is not None:
            self._project.__exit__()
            shutil.rmtree(self._folder / "now")
        self._project = None

    def wait_for_training(self):
        """Wait until a process that was stopped has ended: what is answered after that is always the same."""
        thread = self._project.learning.training._thread
        if thread is not None:
            thread.join()

    async def __call__(self, scope, receive, send):
        await self._app(scope, receive, send)


@pytest.fixture
def served(model, images, tmp_path):
    served = Served(model, images.parent / "images", tmp_path)
    yield served
    served.end()


def sequences(served, answered):
    """The state machine of a server, which counts the answers of each operation."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    for link in links(served.document):
        if {"action", "n"} & set(link.get("requestBody", {})):  # a body that is complete but for the action's id
            link["x-schemathesis"] = {"merge_body": False}
    schema = schemathesis.openapi.from_dict(served.document)
    schema.app = served

    class Sequence(schema.as_state_machine()):
        """Operations one after the other."""

        def setup(self):
            served.begin()
            self.ids = np.random.default_rng(0)

        def get_call_kwargs(self, case):
            return {"base_url": ORIGIN, "headers": served.headers}

        def before_call(self, case):
            if isinstance(case.body, dict) and "action" in case.body and "id" not in case.body:
                case.body["id"] = str(uuid.UUID(bytes=self.ids.bytes(16)))  # as a client makes one for each action

        def after_call(self, response, case):
            super().after_call(response, case)
            operation = case.operation.definition.raw["operationId"]
            answered[operation, response.status_code // 100] += 1
            if operation == "stop" and response.status_code == 200:
                served.wait_for_training()

        def validate_response(self, response, case, additional_checks=None, **kwargs):
            # What the schema allows may still be refused, such as a class that the project does not have.
            case.validate_response(response, excluded_checks=[positive_data_acceptance], transport_kwargs=kwargs)

    return Sequence


@pytest.mark.slow
def test_no_sequence_of_operations_breaks_the_server(served):
    answered = Counter()
    sequences(served, answered).run(settings=SETTINGS)
    assert {"images", "hold", "act", "let_go"} <= {operation for operation, status in answered if status == 2}


def test_links_lead_to_operations_that_there_are(client):
    document = client.get(f"{API}/openapi.json").json()
    assert {link["operationId"] for link in links(document)} < set(operations(document))
