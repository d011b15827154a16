"""An object of an image: its prompts, its mask, and the strokes that were painted on it."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from promise_seg.annotator.bits import EMPTY, MaskBits
from promise_seg.arrays import BoolArray


@dataclass(frozen=True)
class Point:
    """A point prompt in pixels of the image; ``label`` is 1 for foreground and 0 for background."""

    x: float
    y: float
    label: int


@dataclass(frozen=True)
class Prompts:
    """The prompts of an object: points, and a box as left, top, right, bottom, its first and last pixels."""

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there are neither points nor a box."""
        return not self.points and self.box is None


@dataclass(frozen=True)
class Answer:
    """The model's answer to prompts: a mask, the scores of SAM's three candidates, and the index of the chosen one.

    Scores are predicted IoUs; ``score`` is that of the mask. ``model`` is the number of the model in the project,
    ``None`` if no model made the mask.
    """

    mask: MaskBits = EMPTY
    scores: tuple[float, ...] = ()
    chosen: int | None = None
    score: float | None = None
    model: int | None = None


NO_ANSWER = Answer()


@dataclass(frozen=True)
class AnnotatedObject:
    """One version of an object. It is immutable, because undo returns to earlier versions.

    Args:
        id: the number of the object in its image.
        slice: the index of its slice.
        label: the label of its class.
        prompts: the prompts of the object.
        answer: the model's answer; without prompts, the mask with which the object was created.
        automatic: whether the prompts are the model's own.
        started_from: the mask that the model gets as an input, if it refines a mask.
        added, erased: the painted and erased pixels, which are applied on top of every answer.
        imported: whether the object was created from a mask.
        candidate: the index of the candidate that the user chose; ``None`` for the model's own choice.
        mask: the answer with the painted and erased pixels.
    """

    id: int
    slice: int
    label: int
    prompts: Prompts = Prompts()
    answer: Answer = NO_ANSWER
    automatic: bool = False
    started_from: MaskBits | None = None
    added: MaskBits = EMPTY
    erased: MaskBits = EMPTY
    imported: bool = False
    candidate: int | None = None
    locked: bool = False
    hidden: bool = False
    accepted: bool = False
    mask: MaskBits = EMPTY

    @property
    def painted(self) -> bool:
        """Whether the brush or the eraser changed the mask."""
        return not (self.added.is_empty and self.erased.is_empty)

    def answered(self, answer: Answer, height: int, width: int) -> "AnnotatedObject":
        """Return the object with a new answer, to which the painted and erased pixels are applied again."""
        return replace(self, answer=answer, mask=self._composed(answer.mask, height, width))

    def with_stroke(self, stroke: BoolArray, *, adds: bool) -> "AnnotatedObject":
        """Return the object with the pixels of a stroke (H, W) added or erased."""
        height, width = stroke.shape
        added, erased = self.added.mask(height, width), self.erased.mask(height, width)
        added, erased = (added | stroke, erased & ~stroke) if adds else (added & ~stroke, erased | stroke)
        painted = replace(self, added=MaskBits.of(added), erased=MaskBits.of(erased))
        return replace(painted, mask=painted._composed(self.answer.mask, height, width))

    def _composed(self, mask: MaskBits, height: int, width: int) -> MaskBits:
        if not self.painted:
            return mask
        full = mask.mask(height, width) | self.added.mask(height, width)
        return MaskBits.of(full & ~self.erased.mask(height, width))

    def for_client(self) -> dict[str, Any]:
        """Return the object as JSON for clients, see docs/annotator-api.md."""
        return {
            "id": self.id, "slice": self.slice, "class": self.label,
            "points": [asdict(point) for point in self.prompts.points],
            "box": None if self.prompts.box is None else list(self.prompts.box),
            "automatic": self.automatic, "refines": self.started_from is not None, "painted": self.painted,
            "imported": self.imported, "candidate": self.candidate,
            "candidates": [{"score": score} for score in self.answer.scores],
            "chosen": self.answer.chosen, "score": self.answer.score, "model": self.answer.model,
            "mask": self.mask.as_json(),
            "locked": self.locked, "hidden": self.hidden, "accepted": self.accepted,
        }  # fmt: skip

    def to_text(self) -> str:
        """Return the object as text for the database."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_text(cls, text: str) -> "AnnotatedObject":
        """Return the object that :meth:`to_text` wrote."""
        value = json.loads(text)
        prompts, answer = value["prompts"], value["answer"]
        value["prompts"] = Prompts(
            tuple(Point(**point) for point in prompts["points"]),
            None if prompts["box"] is None else tuple(prompts["box"]),
        )
        value["answer"] = Answer(
            MaskBits.from_json(answer["mask"]),
            tuple(answer["scores"]),
            answer["chosen"],
            answer["score"],
            answer.get("model"),
        )
        for name in ("added", "erased", "mask", "started_from"):
            value[name] = None if value[name] is None else MaskBits.from_json(value[name])
        return cls(**value)
