"""The bodies of requests as pydantic models. Lengths and numbers are limited, and unknown fields are refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.objects import Point, Prompts
from promise_seg.sam.decoded import NUM_CANDIDATES

MOST_POINTS = 256
"""The most points of an object."""
MOST_OBJECTS = 1000
"""The most objects of an image, in all slices together."""
LONGEST_NAME = 200
"""The longest name of a user, in characters."""
LARGEST_BODY = 16 * 2**20
"""The largest body of a request or message, in bytes."""

Id = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Number = Annotated[int, Field(ge=0, le=2**31, strict=True)]
Coordinate = Annotated[float, Field(ge=-1, le=2**20, allow_inf_nan=False, strict=True)]
Edge = Annotated[float, Field(ge=-(2**20), le=2**21, allow_inf_nan=False, strict=True)]
"""An edge of a box, which may reach beyond the image."""
Flag = Annotated[bool, Field(strict=True)]
Side = Annotated[int, Field(ge=0, le=2**20, strict=True)]
Candidate = Annotated[int, Field(ge=0, lt=NUM_CANDIDATES, strict=True)]
Name = Annotated[str, Field(max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")]
"""The name of a user: text without control characters, and not of spaces alone."""


class Body(BaseModel):
    """Base class of the bodies of requests and their parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GivenPoint(Body):
    """A point prompt in pixels of the image; ``label`` is 1 for foreground and 0 for background."""

    x: Coordinate
    y: Coordinate
    label: Literal[0, 1]


class GivenMask(Body):
    """A mask as the compressed bits of a box: left, top, width, height; see docs/annotator-api.md."""

    box: tuple[Side, Side, Side, Side]
    bits: Annotated[str, Field(max_length=LARGEST_BODY)]

    @property
    def as_bits(self) -> MaskBits:
        """The mask in the form in which the project stores it."""
        return MaskBits(self.box, self.bits)


class GivenPrompts(Body):
    """The prompts of an object in pixels of the image; ``box`` is left, top, right, bottom."""

    points: Annotated[tuple[GivenPoint, ...], Field(max_length=MOST_POINTS)] = ()
    box: tuple[Edge, Edge, Edge, Edge] | None = None

    @property
    def as_prompts(self) -> Prompts:
        """The prompts in the form in which the project stores them."""
        return Prompts(tuple(Point(point.x, point.y, point.label) for point in self.points), self.box)


class Propose(Body):
    """Add the objects that the model proposes in a slice."""

    type: Literal["propose"]
    slice: Number


class Add(GivenPrompts):
    """Add an object: an empty one, or one from prompts or from a mask."""

    type: Literal["add"]
    slice: Number
    label: Annotated[Number, Field(alias="class")]
    mask: GivenMask | None = None


class Remove(Body):
    """Remove an object."""

    type: Literal["remove"]
    object: Number


class SetPrompts(GivenPrompts):
    """Replace all prompts of an object, and update its mask."""

    type: Literal["prompts"]
    object: Number


class Stroke(Body):
    """Add the pixels of a mask to an object, or erase them from it."""

    type: Literal["stroke"]
    object: Number
    mode: Literal["add", "erase"]
    mask: GivenMask


class Properties(Body):
    """Set properties of an object; omitted properties keep their values."""

    type: Literal["properties"]
    object: Number
    label: Annotated[Number | None, Field(alias="class")] = None
    locked: Flag | None = None
    hidden: Flag | None = None
    accepted: Flag | None = None


class Choose(Body):
    """Choose one of SAM's candidate masks, 0 to 2; ``null`` for the model's own choice."""

    type: Literal["candidate"]
    object: Number
    candidate: Candidate | None


class Propagate(Body):
    """Propagate objects of a slice to all slices up to ``last``; by default, all objects that are not hidden."""

    type: Literal["propagate"]
    slice: Number
    last: Number
    source: Literal["mask", "prompts"] = "mask"
    objects: Annotated[tuple[Number, ...], Field(max_length=MOST_OBJECTS)] | None = None


class OnObject(Body):
    """Restore the model's own prompts of an object, or start to refine its current mask."""

    type: Literal["automatic", "refine"]
    object: Number


class OnImage(Body):
    """Undo or redo a change of objects, or accept, skip or reopen the image."""

    type: Literal["undo", "redo", "accept", "skip", "reopen"]


ShortAction = Propose | Add | Remove | SetPrompts | Stroke | Properties | Choose | OnObject | OnImage
"""Any action except propagation, which can take minutes."""
Action = Annotated[ShortAction | Propagate, Field(discriminator="type")]


class ActionBody(Body):
    """An action, its unique id, the client that sends it, and the revision of the image that it is based on."""

    id: Id
    client: Id
    revision: Number
    action: Action


class LeaseBody(Body):
    """A request to hold an image. ``take`` takes it from its holder; ``propose`` adds a slice's ready proposals."""

    client: Id
    user: Name | None = None
    take: Flag = False
    propose: Number | None = None


class ReleaseBody(Body):
    """A request to release an image."""

    client: Id


class ExportBody(Body):
    """A request to export all accepted masks."""

    format: Literal["coco"]


class TrainBody(Body):
    """A request to train on the accepted images; ``anew`` begins a new round instead of resuming one."""

    anew: Flag = False


class StopBody(Body):
    """A request to stop a propagation or the training; its body is empty."""


class PreviewBody(GivenPrompts):
    """A request for the mask that prompts would give; ``n`` numbers the requests, and the response repeats it."""

    n: Number
    slice: Number
    object: Number | None = None
    label: Annotated[Number | None, Field(alias="class")] = None
    candidate: Candidate | None = None
