"""Links of the OpenAPI document: the operations that can follow a response, and their parameters.

Each link describes the body of the next request with expressions that refer to the previous request and its response.
The id of an action is left out, because the client creates a new one for each action.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

_NUMBER = {"number": "$request.path.number"}
_CLIENT = {"client": "$request.body#/client"}
_NEWEST = _CLIENT | {"revision": "$response.body#/revision"}


class Fault(BaseModel):
    """The reason for a refusal: a code for programs, and a sentence for the user."""

    model_config = ConfigDict(extra="allow")
    code: str
    message: str


class Refused(BaseModel):
    """The body of the response to a request that was refused."""

    error: Fault


REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refused, "description": "The request is refused, with the reason"},
    "5XX": {"model": Refused, "description": "The program failed, or the disk is full or read-only"},
}
"""Error responses that any operation may give."""
PNG: dict[int | str, dict[str, Any]] = {200: {"description": "A picture", "content": {"image/png": {}}}}


def _linked(links: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"links": links}}


def _one(operation: str, **parameters: Any) -> dict[str, Any]:
    """Return the link to an operation on the image of the request."""
    return {"operationId": operation, "parameters": _NUMBER | parameters}


def _preview(number: str) -> dict[str, Any]:
    """Return the link to a preview of an object."""
    body = {"n": 1, "slice": 0, "object": number, "points": [{"x": 12, "y": 9, "label": 1}]}
    return _one("preview") | {"requestBody": body}


def _act(**action: Any) -> dict[str, Any]:
    """Return the link to an action; without a given action, the client chooses one."""
    return _one("act") | {"requestBody": _NEWEST | ({"action": action} if action else {})}


_ON_IMAGE = {name: _act(type=name) for name in ("undo", "redo", "accept", "skip", "reopen")}


def _on_object(place: str) -> dict[str, Any]:
    """Return the links to actions on the object at a place of the response."""
    number, mask = f"$response.body#/{place}/id", f"$response.body#/{place}/mask"
    return {
        "remove": _act(type="remove", object=number),
        "lock": _act(type="properties", object=number, locked=True),
        "unlock": _act(type="properties", object=number, locked=False),
        "refine": _act(type="refine", object=number),
        "automatic": _act(type="automatic", object=number),
        "candidate": _act(type="candidate", object=number, candidate=1),
        "prompts": _act(type="prompts", object=number, points=[{"x": 12, "y": 9, "label": 1}], box=[3, 4, 20, 21]),
        "paint": _act(type="stroke", object=number, mode="add", mask=mask),
        "erase": _act(type="stroke", object=number, mode="erase", mask=mask),
        "preview": _preview(number),
    }


OF_IMAGES = _linked(
    {
        f"{operation}{n}": {
            "operationId": operation,
            "parameters": {"number": f"$response.body#/images/{n}/id"},
        }
        for operation in ("hold", "image", "thumbnail")
        for n in range(3)
    }
)
"""The links from the list of images to its first three images."""
OF_IMAGE = _linked({"hold": _one("hold"), "pixels": _one("pixels", index=0), "propagation": _one("propagation")})
OF_LEASE: dict[int | str, dict[str, Any]] = _linked(
    {
        "act": _act(),
        "propose": _act(type="propose", slice=0),
        "propagate": _act(type="propagate", slice=0, last=0),
        "add": _act(type="add", slice=0, points=[{"x": 20, "y": 15, "label": 1}], **{"class": 1}),
        "cancel": _one("cancel"),
        "letGo": _one("let_go") | {"requestBody": _CLIENT},
    }
    | _ON_IMAGE
    | _on_object("list/0")
) | {409: REFUSALS["4XX"] | {"links": {"take": _one("hold") | {"requestBody": _CLIENT | {"take": True}}}}}
"""The links from a lease to actions on its image; after a refusal, to taking the image over."""
OF_ACTION = _linked(
    {
        "act": _act(),
        "again": _one("act") | {"requestBody": "$request.body"},
        "image": _one("image"),
        "letGo": _one("let_go") | {"requestBody": _CLIENT},
        "train": {"operationId": "train"},
        "export": {"operationId": "export", "requestBody": {"format": "coco"}},
    }
    | _ON_IMAGE
    | _on_object("changed/0")
)
"""The links from one action to the next."""
OF_TRAINING = _linked(
    {"stop": {"operationId": "stop"}, "train": {"operationId": "train"}, "images": {"operationId": "images"}}
)
OF_PROJECT = _linked({"images": {"operationId": "images"}, "training": {"operationId": "training"}})
