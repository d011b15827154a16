"""Compute the effect of each action on the objects of an image; storing it is up to the caller."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promise_seg.annotator.bits import EMPTY, MaskBits
from promise_seg.annotator.bodies import (
    MOST_OBJECTS,
    Add,
    Choose,
    GivenMask,
    OnImage,
    OnObject,
    PreviewBody,
    Properties,
    Propose,
    Remove,
    SetPrompts,
    ShortAction,
    Stroke,
)
from promise_seg.annotator.history import Change, ImageState
from promise_seg.annotator.objects import NO_ANSWER, AnnotatedObject, Answer, Prompts
from promise_seg.annotator.overlap import dice_of
from promise_seg.annotator.refusals import Refusal, invalid, unknown
from promise_seg.annotator.segmenter import Proposal, Segmenter
from promise_seg.sam.decoded import NUM_CANDIDATES

_SAME_DICE = 0.5
"""Masks of the same class and slice with at least this Dice belong to the same object."""
_STATES = {"accept": "done", "skip": "skipped", "reopen": "open"}


@dataclass(frozen=True)
class Image:
    """The state of an image before an action.

    Args:
        now: the state of the image apart from its objects.
        objects: all objects of the image.
        height, width: the size of each slice, in pixels.
        slices: the number of slices.
        labels: the labels of the project's classes.
    """

    now: ImageState
    objects: Sequence[AnnotatedObject]
    height: int
    width: int
    slices: int
    labels: Sequence[int]

    def object(self, number: int) -> AnnotatedObject:
        """Return an object by its number.

        Raises:
            Refusal: if there is no object of this number.
        """
        for one in self.objects:
            if one.id == number:
                return one
        raise unknown(f"The object {number}")

    def unlocked(self, number: int) -> AnnotatedObject:
        """Return an object by its number if it may be changed.

        Raises:
            Refusal: if there is no such object, or it is locked.
        """
        one = self.object(number)
        if one.locked:
            raise Refusal(409, "locked", f"The object {number} is locked. Unlock it first")
        return one

    def check_slice(self, index: int) -> None:
        """Raise a :class:`Refusal` if the image has no such slice."""
        if index >= self.slices:
            raise unknown(f"The slice {index}")

    def check_label(self, label: int) -> None:
        """Raise a :class:`Refusal` if the project has no such class."""
        if label not in self.labels:
            raise invalid("class", f"{label} is not a class; expected one of {', '.join(map(str, self.labels))}")

    def checked_mask(self, given: GivenMask) -> MaskBits:
        """Return a client's mask, cropped to its bounding box; raise a :class:`Refusal` if it is not a valid mask."""
        return MaskBits.of(given.as_bits.mask(self.height, self.width))

    def check_prompts(self, prompts: Prompts) -> None:
        """Raise a :class:`Refusal` for points outside of the image and for boxes without an area."""
        for point in prompts.points:
            if not (-0.5 <= point.x <= self.width - 0.5 and -0.5 <= point.y <= self.height - 0.5):
                size = f"{self.width} x {self.height} pixels"
                raise invalid("points", f"({point.x:g}, {point.y:g}) is outside the image of {size}")
        if prompts.box is not None and not (prompts.box[0] < prompts.box[2] and prompts.box[1] < prompts.box[3]):
            raise invalid("box", "expected left, top, right, bottom with left < right and top < bottom")


class Actions:
    """Compute the change that an action makes to an image.

    Args:
        segmenter: the models that make the masks.
        number: the number of the image.
        image: the state of the image before the action.
    """

    def __init__(self, segmenter: Segmenter, number: int, image: Image) -> None:
        self._segmenter, self._number, self._image = segmenter, number, image

    def change(self, action: ShortAction) -> Change:
        """Return the change that an action makes.

        Raises:
            Refusal: if the action is not possible for this image.
        """
        if isinstance(action, OnImage):
            if action.type in _STATES:
                return Change(state=_STATES[action.type])
            return Change(go=-1 if action.type == "undo" else 1)
        if isinstance(action, Propose):
            return self._propose(action.slice)
        if isinstance(action, Add):
            return _step(self._add(action))
        if isinstance(action, Remove):
            return Change({self._image.unlocked(action.object).id: None}, is_step=True)
        return _step(self._changed(action))

    def _changed(self, action: SetPrompts | Stroke | Properties | Choose | OnObject) -> AnnotatedObject:
        if isinstance(action, Properties):
            return self._with_properties(action)
        one = self._image.unlocked(action.object)
        if isinstance(action, SetPrompts):
            return self._with_prompts(one, action.as_prompts)
        if isinstance(action, Stroke):
            stroke = action.mask.as_bits.mask(self._image.height, self._image.width)
            return one.with_stroke(stroke, adds=action.mode == "add")
        if isinstance(action, Choose):
            return self._with_candidate(one, action.candidate)
        return self._automatic(one) if action.type == "automatic" else _refining(one)

    def _propose(self, index: int) -> Change:
        self._image.check_slice(index)
        if self._image.now.state != "open":  # a finished image was reviewed without them, and its masks are written
            return Change(is_work=False)
        if index in self._image.now.proposed:
            return Change(proposed=index, is_work=False)
        using = self._segmenter.in_use.number
        found = [one for one in self._segmenter.proposals(self._number, index) if not self._is_there(index, *one)]
        kept, note = self._with_room(found)
        first = self._image.now.next_object
        objects = {
            first + n: AnnotatedObject(first + n, index, label, prompts, automatic=True).answered(
                answer, self._image.height, self._image.width
            )
            for n, (label, prompts, answer) in enumerate(kept)
        }
        return Change(objects, proposed=index, is_work=False, model=using, note=note)

    def _with_room(self, found: Sequence[Proposal]) -> tuple[Sequence[Proposal], str]:
        """Return the proposals with the highest scores, as many as there is room for, and a note if that is not all."""
        room = max(MOST_OBJECTS - len(self._image.objects), 0)
        if len(found) <= room:
            return found, ""
        best = sorted(range(len(found)), key=lambda n: -(found[n][2].score or 0))[:room]
        return [found[n] for n in sorted(best)], (
            f"The model proposes {len(found):,} objects here. The {room:,} with the highest scores are shown, because "
            f"an image can have {MOST_OBJECTS:,} objects"
        )

    def _is_there(self, index: int, label: int, prompts: Prompts, answer: Answer) -> bool:
        """Whether an object like this exists already, for example because it was propagated from another slice."""
        size = (self._image.height, self._image.width)
        alike = (one for one in self._image.objects if one.slice == index and one.label == label)
        return any(dice_of(one.mask, answer.mask, *size) >= _SAME_DICE for one in alike)

    def _check_room(self, count: int) -> None:
        if len(self._image.objects) + count > MOST_OBJECTS:
            raise invalid("objects", f"an image can have {MOST_OBJECTS} of them")

    def _add(self, action: Add) -> AnnotatedObject:
        image, prompts = self._image, action.as_prompts
        image.check_slice(action.slice)
        image.check_label(action.label)
        self._check_room(1)
        one = AnnotatedObject(image.now.next_object, action.slice, action.label)
        if action.mask is not None:
            if not prompts.is_empty:
                raise invalid(
                    "mask",
                    "is given together with prompts; expected one of them. Add the mask, and refine it afterwards",
                )
            given = image.checked_mask(action.mask)
            return replace(one, imported=True).answered(Answer(given), image.height, image.width)
        return one if prompts.is_empty else self._with_prompts(one, prompts)

    def _with_prompts(self, one: AnnotatedObject, prompts: Prompts) -> AnnotatedObject:
        """Return the object with new prompts and the model's answer to them."""
        return self.answered(replace(one, prompts=prompts, automatic=False, candidate=None))

    def answered(self, one: AnnotatedObject) -> AnnotatedObject:
        """Return the object with the model's answer to its prompts."""
        image = self._image
        image.check_prompts(one.prompts)
        if one.prompts.is_empty:
            answer = NO_ANSWER if one.started_from is None else Answer(one.started_from)
        else:
            answer = self._segmenter.answer(
                self._number, one.slice, one.label, one.prompts, one.started_from, one.candidate
            )
        return one.answered(answer, image.height, image.width)

    def _with_properties(self, action: Properties) -> AnnotatedObject:
        one = self._image.object(action.object)
        given = {
            name: value
            for name in ("label", "locked", "hidden", "accepted")
            if (value := getattr(action, name)) is not None
        }
        if action.label is not None:
            self._image.check_label(action.label)
            if one.locked and action.locked is not False and action.label != one.label:
                raise Refusal(409, "locked", f"The object {one.id} is locked. Unlock it first")
        return replace(one, **given)

    def _with_candidate(self, one: AnnotatedObject, candidate: int | None) -> AnnotatedObject:
        if one.prompts.is_empty:
            raise invalid("candidate", "the object has no prompts, so it has no candidates")
        count = len(one.answer.scores) or NUM_CANDIDATES  # none for an object that the model's maps have separated
        if candidate is not None and candidate >= count:
            raise invalid("candidate", f"is {candidate}; expected less than {count}, the number of candidates")
        return self.answered(replace(one, candidate=candidate, automatic=False))

    def _automatic(self, one: AnnotatedObject) -> AnnotatedObject:
        """Return the object with the prompts and the mask of the model's proposal that overlaps it most."""
        proposals = self._segmenter.proposals(self._number, one.slice)
        found = [(prompts, answer) for label, prompts, answer in proposals if label == one.label]
        found = found or [(prompts, answer) for _, prompts, answer in proposals]
        if not found:
            raise invalid("object", "the model proposes nothing in this slice. Give points or a box")
        height, width = self._image.height, self._image.width
        mask = one.mask.mask(height, width)
        prompts, answer = max(found, key=lambda pair: int((pair[1].mask.mask(height, width) & mask).sum()))
        bare = AnnotatedObject(one.id, one.slice, one.label, prompts, automatic=True, hidden=one.hidden)
        return bare.answered(answer, height, width)

    def previewed(self, body: PreviewBody) -> AnnotatedObject:
        """Return the object with the prompts of a preview and the model's answer to them; nothing is stored."""
        self._image.check_slice(body.slice)
        if body.object is not None:
            one = self._image.object(body.object)
        else:
            one = AnnotatedObject(0, body.slice, self._image.labels[0] if body.label is None else body.label)
            self._image.check_label(one.label)
        return self.answered(replace(one, prompts=body.as_prompts, candidate=body.candidate))


def _step(one: AnnotatedObject) -> Change:
    return Change({one.id: one}, is_step=True)


def _refining(one: AnnotatedObject) -> AnnotatedObject:
    """Return the object without prompts, with its current mask as the one that the model starts from."""
    if one.mask.is_empty:
        raise invalid("object", "its mask is empty, so there is nothing to refine")
    return replace(
        one, prompts=Prompts(), answer=Answer(one.mask), automatic=False, started_from=one.mask, added=EMPTY,
        erased=EMPTY, candidate=None,
    )  # fmt: skip
