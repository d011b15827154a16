"""An image of an annotator project, as a program edits it: its objects with their prompts and masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from promise_seg.annotator.bits import MaskBits
from promise_seg.arrays import BoolArray
from promise_seg.errors import SettingsError

if TYPE_CHECKING:
    from promise_seg.annotator.client import Client

Points = Sequence[tuple[float, float]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ImageEntry:
    """An entry of the list of images.

    Args:
        id, name: the number and the name of the image.
        state: ``open``, ``done`` or ``skipped``.
        trust: the trust score of its proposal, 0 to 1; ``None`` if the score is not known yet.
        width, height, slices: the size of each slice in pixels, and the number of slices.
        objects: the number of objects.
    """

    id: int
    name: str
    state: str
    trust: float | None
    width: int
    height: int
    slices: int
    objects: int

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Return the entry that an answer of the server describes."""
        return cls(**{name: answer[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class RemotePrediction:
    """The model's answer to prompts.

    Shape: ``mask`` (H, W) bool, at the image's own size.

    Args:
        mask: the mask of the model, with the painted pixels of the object.
        predicted_iou: the IoU that SAM predicts for it; ``None`` without prompts.
        candidates: the predicted IoU of each of SAM's three masks.
        chosen: the index of ``mask`` among these three masks.
    """

    mask: BoolArray
    predicted_iou: float | None
    candidates: tuple[float, ...]
    chosen: int | None


@dataclass(frozen=True)
class RemoteObject:
    """An object of an image.

    Shape: ``mask`` (H, W) bool, at the image's own size.

    Args:
        id: the number of the object in the image.
        slice, label: the index of its slice, and the label of its class.
        points_xy, point_labels, box_xyxy: its prompts, in pixel indices; labels are 1 (foreground) and 0 (background).
        mask: the mask with the painted and erased pixels.
        predicted_iou: the IoU that SAM predicts for it; ``None`` without prompts.
        automatic: whether the prompts are the model's own.
        locked, accepted: whether the object was locked or accepted.
        model: the number of the model that made the mask; ``None`` if no model did.
    """

    id: int
    slice: int
    label: int
    points_xy: tuple[tuple[float, float], ...]
    point_labels: tuple[int, ...]
    box_xyxy: Box | None
    mask: BoolArray = field(repr=False)
    predicted_iou: float | None
    automatic: bool
    locked: bool
    accepted: bool
    model: int | None

    @classmethod
    def of(cls, answer: Mapping[str, Any], height: int, width: int) -> Self:
        """Return the object that an answer of the server describes."""
        return cls(
            answer["id"], answer["slice"], answer["class"],
            tuple((one["x"], one["y"]) for one in answer["points"]), tuple(one["label"] for one in answer["points"]),
            None if answer["box"] is None else tuple(answer["box"]), _mask(answer, height, width), answer["score"],
            answer["automatic"], answer["locked"], answer["accepted"], answer["model"],
        )  # fmt: skip


class RemoteImage:
    """An image that this client holds, see :meth:`~promise_seg.annotator.client.Client.open`.

    When a method returns, its change is on the disk of the server. Attributes have the values of the last answer.
    """

    def __init__(self, client: "Client", image: int, *, take: bool = False) -> None:
        self._client, self.id = client, image
        self.objects: dict[int, RemoteObject] = {}
        self._sent: dict[str, Any] = {}
        self.hold(take=take)

    def hold(self, *, take: bool = False) -> None:
        """Extend the lease by a minute, as every action does, and fetch the changes that other clients made."""
        body = {"client": self._client.id, "user": self._client.user, "take": take}
        answer = self._client.ask("POST", f"/images/{self.id}/lease", body)
        self.name, self.state = str(answer["name"]), str(answer["state"])
        self.height, self.width, self.slices = int(answer["height"]), int(answer["width"]), int(answer["slices"])
        self.revision, self.dice = int(answer["revision"]), answer["dice"]
        self.objects = {one["id"]: self._object(one) for one in answer["list"]}

    def let_go(self) -> None:
        """Release the image, so that other clients can hold it."""
        self._client.ask("DELETE", f"/images/{self.id}/lease", {"client": self._client.id})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.let_go()

    def propose(self, index: int = 0) -> list[RemoteObject]:
        """Add the objects that the model proposes in a slice, unless that was done before, and return them."""
        return self._changed(self._act({"type": "propose", "slice": index}))

    def predict(
        self,
        points_xy: Points = (),
        point_labels: Sequence[int] | None = None,
        box_xyxy: Box | None = None,
        *,
        index: int = 0,
        label: int | None = None,
        number: int | None = None,
        candidate: int | None = None,
    ) -> RemotePrediction:
        """Return the model's mask for prompts. Nothing is changed.

        Args:
            points_xy: points in pixel indices; whole numbers are pixel centres.
            point_labels: labels of the points, 1 for foreground and 0 for background; by default all are 1.
            box_xyxy: indices of the box's first and last pixels: left, top, right, bottom.
            index: the index of the slice.
            label: the label of the class whose model is used; by default the first.
            number: the number of the object whose painted pixels and starting mask are used; by default none.
            candidate: the index of SAM's mask to use, 0 to 2; by default the model's own choice.
        """
        body = {
            "n": 0,
            "slice": index,
            **_prompts(points_xy, point_labels, box_xyxy),
            "object": number,
            "candidate": candidate,
        }
        answer = self._client.ask("POST", f"/images/{self.id}/preview", body | {"class": label})
        scores = tuple(one["score"] for one in answer["candidates"])
        return RemotePrediction(_mask(answer, self.height, self.width), answer["score"], scores, answer["chosen"])

    def add(
        self,
        points_xy: Points = (),
        point_labels: Sequence[int] | None = None,
        box_xyxy: Box | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        index: int = 0,
        label: int = 1,
    ) -> RemoteObject:
        """Add an object from prompts or from a mask (H, W), and return it."""
        given = _prompts(points_xy, point_labels, box_xyxy) if mask is None else {"mask": self._bits(mask)}
        (made,) = self._changed(self._act({"type": "add", "slice": index, "class": label, **given}))
        return made

    def set_prompts(
        self,
        number: int,
        points_xy: Points = (),
        point_labels: Sequence[int] | None = None,
        box_xyxy: Box | None = None,
    ) -> RemoteObject:
        """Replace all prompts of an object, and return it with its new mask."""
        return self._one({"type": "prompts", "object": number, **_prompts(points_xy, point_labels, box_xyxy)})

    def paint(self, number: int, mask: npt.ArrayLike, *, erase: bool = False) -> RemoteObject:
        """Add the pixels of a mask (H, W) to an object, or erase them from it; return the object."""
        mode = "erase" if erase else "add"
        return self._one({"type": "stroke", "object": number, "mode": mode, "mask": self._bits(mask)})

    def remove(self, number: int) -> None:
        """Remove an object."""
        self._act({"type": "remove", "object": number})

    def undo(self) -> None:
        """Undo the last change of objects, if there is one."""
        self._act({"type": "undo"})

    def redo(self) -> None:
        """Redo the change that was undone last, if there is one."""
        self._act({"type": "redo"})

    def accept(self) -> None:
        """Accept the image: write its masks, and list it in the manifest.

        If the disk was full, call this again when there is space; nothing is done twice.
        """
        self._act({"type": "accept"})

    def skip(self) -> None:
        """Skip the image."""
        self._act({"type": "skip"})

    def reopen(self) -> None:
        """Reopen the image after it was accepted or skipped."""
        self._act({"type": "reopen"})

    def _act(self, action: Mapping[str, Any]) -> dict[str, Any]:
        body = {"client": self._client.id, "revision": self.revision, "action": dict(action)}
        if body != {name: value for name, value in self._sent.items() if name != "id"}:
            self._sent = {"id": str(uuid4()), **body}
        answer = self._client.ask("POST", f"/images/{self.id}/actions", self._sent)  # a retry keeps its id
        self._sent = {}
        self.revision, self.state, self.dice = int(answer["revision"]), str(answer["state"]), answer["dice"]
        self.objects |= {one["id"]: self._object(one) for one in answer["changed"]}
        for number in answer["removed"]:
            self.objects.pop(number, None)
        return answer

    def _changed(self, answer: Mapping[str, Any]) -> list[RemoteObject]:
        return [self.objects[one["id"]] for one in answer["changed"]]

    def _one(self, action: Mapping[str, Any]) -> RemoteObject:
        (changed,) = self._changed(self._act(action))
        return changed

    def _bits(self, mask: npt.ArrayLike) -> dict[str, Any]:
        given = np.asarray(mask, bool)
        if given.shape != (self.height, self.width):
            raise SettingsError(
                f"mask: has the shape {given.shape}; expected {(self.height, self.width)}, as the image"
            )
        return MaskBits.of(given).as_json()

    def _object(self, answer: Mapping[str, Any]) -> RemoteObject:
        return RemoteObject.of(answer, self.height, self.width)


def _prompts(points_xy: Points, point_labels: Sequence[int] | None, box_xyxy: Box | None) -> dict[str, Any]:
    labels = [1] * len(points_xy) if point_labels is None else list(point_labels)
    if len(labels) != len(points_xy):
        raise SettingsError(f"point_labels: {len(labels)} for {len(points_xy)} points; expected one for each")
    return {
        "points": [
            {"x": float(x), "y": float(y), "label": int(one)} for (x, y), one in zip(points_xy, labels, strict=True)
        ],
        "box": None if box_xyxy is None else [float(side) for side in box_xyxy],
    }


def _mask(answer: Mapping[str, Any], height: int, width: int) -> BoolArray:
    return MaskBits.from_json(answer["mask"]).mask(height, width)
