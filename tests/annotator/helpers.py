"""Stand-ins of the annotator's tests: a model, a tab of a browser, and masks as they travel."""

import uuid

import numpy as np
from starlette.testclient import TestClient

from promise_seg.annotator.access import Access
from promise_seg.annotator.app import create_app
from promise_seg.annotator.bits import MaskBits
from promise_seg.vocabulary import Variant
from promise_seg.workflows.model_ref import ModelPart, ModelRef, PartKind
from promise_seg.workflows.models import Model
from tests.helpers import make_model

PORT = 8765
API = "/api/v1"
HEIGHT, WIDTH = 30, 40


def model_around(sam, variant=Variant.APM_IPS):
    """A model with a name, as ``load`` returns it."""
    part = ModelPart("tiny", PartKind.BARE)
    return Model(ModelRef("tiny", (part,)), part, make_model(sam, variant))


def client_of(project):
    """A client that opened the address of a project's server."""
    access = Access(PORT)
    client = TestClient(create_app(project, access), base_url=f"http://127.0.0.1:{PORT}")
    client.get(f"/?token={access.token}")
    client.headers["origin"] = f"http://127.0.0.1:{PORT}"
    return client


def bits_of(rows, columns, height=HEIGHT, width=WIDTH):
    """A rectangle as a client sends it."""
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return MaskBits.of(mask).as_json()


def mask_of(answer, height=HEIGHT, width=WIDTH):
    """The mask of an object or a preview as a client was sent it."""
    return MaskBits.from_json(answer["mask"]).mask(height, width)


def points(*xyl):
    """Points as a client sends them."""
    return [{"x": x, "y": y, "label": label} for x, y, label in xyl]


class Tab:
    """A tab with one image: it knows what a page would know from the answers alone.

    Args:
        client: any client of httpx.
        image: the number of the image.
        user: who sits there.
        seed: of the ids.
    """

    def __init__(self, client, image, user=None, seed=0):
        self.http, self.image, self.user = client, image, user
        self.ids = np.random.default_rng(seed)
        self.client, self.revision, self.objects = self.new_id(), 0, {}

    def new_id(self):
        return str(uuid.UUID(bytes=self.ids.bytes(16)))

    @property
    def place(self):
        return f"{API}/images/{self.image}"

    def open(self, **more):
        """Ask for the lease, and take over what the server knows."""
        answer = self.http.post(f"{self.place}/lease", json={"client": self.client, "user": self.user} | more)
        if answer.status_code == 200:
            self.revision = answer.json()["revision"]
            self.objects = {one["id"]: one for one in answer.json()["list"]}
        return answer

    def send(self, action, **more):
        """Send an action as it is, and return the answer of the server."""
        body = {"id": self.new_id(), "client": self.client, "revision": self.revision, "action": action} | more
        return self.http.post(f"{self.place}/actions", json=body)

    def act(self, type_, **fields):
        """Do an action that must be done, and return its answer."""
        answer = self.send({"type": type_, **fields})
        assert answer.status_code == 200, answer.text
        return self.take(answer.json())

    def take(self, answer):
        """Take over what an answer says."""
        self.revision = answer["revision"]
        self.objects |= {one["id"]: one for one in answer["changed"]}
        for number in answer["removed"]:
            self.objects.pop(number, None)
        return answer

    def on_server(self):
        """All objects that the server has."""
        return {one["id"]: one for one in self.http.get(self.place).json()["list"]}


def refusal(answer):
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


def previews(client, image, **headers):
    """The WebSocket of an image; a client of tests does not know its own address there."""
    return client.websocket_connect(f"ws://127.0.0.1:{PORT}{API}/images/{image}/preview", headers=headers)


def accept_with_two_objects(client, images=(1, 2, 3)):
    """Accept images with an object from a mask and one from a point; return the tab of the last one."""
    for image in images:
        tab = Tab(client, image, seed=image)
        tab.open()
        tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(5, 15), slice(10, 20 + image)))
        tab.act("add", slice=0, **{"class": 1}, points=points((20, 12, 1)))
        tab.act("accept")
    return tab


def accept_an_object_of(project, label, image=1, seed=0):
    """Add an object of a class to an image, in rows of its own, and accept the image."""
    tab = Tab(client_of(project), image, seed=seed)
    tab.open()
    tab.act("add", slice=0, **{"class": label}, mask=bits_of(slice(10 * label - 8, 10 * label), slice(0, 10)))
    tab.act("accept")
    return tab


def accept_one_with_nothing_in_it(project):
    """Accept the first image with an object, and the second with nothing."""
    for number in (1, 2):
        tab = Tab(client_of(project), number, seed=number)
        tab.open()
        if number == 1:
            tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(5, 15), slice(10, 30)))
        tab.act("accept")
