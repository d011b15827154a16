"""Every operation that the server describes, with generated bodies and with what earlier answers gave."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from promise_seg.annotator.project import Options, Project
from tests.annotator.helpers import API
from tests.annotator.learning import Pretended, accept
from tests.annotator.schemas import Schemas

EXAMPLES, STEPS = 150, 14
NO_OBJECT = 999
"""A number that no object has."""


@pytest.fixture
def project(model, images, folder):
    with Project(model, [images.parent / "images"], folder, Options(user="ada", learning=Pretended(model))) as project:
        yield project


def operations(document):
    """Path, method and description of everything that can be asked."""
    return [
        (path, method, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


class Asking:
    """Asks, and remembers what answers give for the next question."""

    def __init__(self, client, document):
        self.client, self.answered = client, {}
        known = {
            "client": ["0" * 8 + "-0000-4000-8000-" + "0" * 12],
            "number": [1, 2, 3],
            "index": [0],
            "slice": [0],
            "candidate": [None],
        }
        self.schemas = Schemas(document, known | {"revision": [0], "class": [1], "object": [NO_OBJECT]})

    def ask(self, draw, path, method, described):
        query, place = {}, path
        for parameter in described.get("parameters", []):
            value = self.schemas.value(draw, parameter["schema"], parameter["name"])
            if parameter["in"] == "path":
                place = place.replace(f"{{{parameter['name']}}}", quote(str(value), safe=""))
            elif draw(st.booleans()):
                query[parameter["name"]] = str(value)
        body = None
        if "requestBody" in described:
            body = self.schemas.value(draw, described["requestBody"]["content"]["application/json"]["schema"])
        answer = self.client.request(method.upper(), place, params=query, json=body)
        self.answered.setdefault((path, method), set()).add(answer.status_code)
        assert answer.status_code < 500, (method, place, body, answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()["error"]) >= {"code", "message"}
        elif answer.headers["content-type"] == "application/json":
            self.learn(answer.json())

    def hold(self):
        """Take the image that is asked about."""
        number, client = self.schemas.known["number"][0], self.schemas.known["client"][0]
        answer = self.client.post(f"{API}/images/{number}/lease", json={"client": client, "take": True})
        self.learn(answer.json())

    def learn(self, answer):
        """Take over links: the newest revision, and objects that there are."""
        known = self.schemas.known
        if "revision" in answer:
            known["revision"] = [answer["revision"]]
        for one in answer.get("list", answer.get("changed", [])):
            known["object"] = sorted({*known["object"], one["id"]})[-4:]


@pytest.mark.slow
def test_no_operation_breaks_whatever_is_sent(client):
    accept(client, 1, 2, 3)  # so that there is something to train on
    document = client.get(f"{API}/openapi.json").json()
    asked, asking = operations(document), Asking(client, document)
    act = next(one for one in asked if one[0].endswith("/actions"))

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def session(data):
        asking.schemas.known["number"] = [data.draw(st.integers(1, 3))]
        for _ in range(STEPS):
            chosen = data.draw(st.sampled_from([*asked, act, act, act]))
            if chosen is act:  # which is done only for who holds the image, and on its newest revision
                asking.hold()
            asking.ask(data.draw, *chosen)

    session()
    assert set(asking.answered) == {(path, method) for path, method, _ in asked}
    assert [one for one, found in asking.answered.items() if min(found) >= 400] == []
