"""Objects of one slice taken on to the slices after it, as one step of undo."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from promise_seg.annotator.actions import Image
from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.bodies import MOST_OBJECTS, Propagate
from promise_seg.annotator.history import Change
from promise_seg.annotator.objects import AnnotatedObject, Prompts
from promise_seg.annotator.overlap import dice_of
from promise_seg.annotator.refusals import invalid
from promise_seg.annotator.segmenter import Segmenter

LEAST_DICE = 0.3
"""Masks of two neighbouring slices that overlap less are not of one object: it ended."""
GoesOn = Callable[[int, int], bool]
"""Is told how many of how many slices are done, and says whether to go on."""


class Propagations:
    """Everything that is under way, by image: how far it is, and whether it is to end."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._far: dict[int, tuple[int, int]] = {}
        self._cancelled: set[int] = set()
        self._closed = False

    def goes_on(self, image: int) -> GoesOn:
        """Return what notes the progress of an image's propagation."""

        def note(done: int, total: int) -> bool:
            with self._turn:
                self._far[image] = done, total
                return image not in self._cancelled and not self._closed

        return note

    def cancel(self, image: int) -> None:
        """End that of an image after the slice that it is at; what it did until then is kept."""
        with self._turn:
            if image in self._far:
                self._cancelled.add(image)

    def close(self) -> None:
        """End all of them."""
        with self._turn:
            self._closed = True

    def end(self, image: int) -> None:
        """Note that it has ended."""
        with self._turn:
            self._far.pop(image, None)
            self._cancelled.discard(image)

    def facts(self, image: int) -> dict[str, Any]:
        """Return what a client is told."""
        with self._turn:
            done, total = self._far.get(image, (0, 0))
            return {"running": image in self._far, "done": done, "total": total}


@dataclass
class _Chain:
    """An object on its way: its newest part, and whether it has ended."""

    last: AnnotatedObject
    is_over: bool = False


def propagated(segmenter: Segmenter, number: int, image: Image, action: Propagate, goes_on: GoesOn) -> Change:
    """Return what propagating objects of a slice adds.

    Each object is asked for in the next slice with the box of its mask in this one, or else with its own prompts. Where
    a person has an object of its class already, that one stays and is what is taken on; proposals that nobody touched
    make room. It ends where the mask is empty, or has little in common with that of the slice before.

    Args:
        segmenter: is asked for masks.
        number: of the image.
        image: as it is now.
        action: from where to where.
        goes_on: told of each slice; says whether to go on.

    Raises:
        Refusal: if there is no such slice, or nothing to propagate.
    """
    image.check_slice(action.slice)
    image.check_slice(action.last)
    if action.last == action.slice:
        raise invalid("last", "expected another slice than the one to begin with")
    step = 1 if action.last > action.slice else -1
    slices = range(action.slice + step, action.last + step, step)
    chains = [_Chain(one) for one in _sources(image, action)]
    if len(image.objects) + len(chains) * len(slices) > MOST_OBJECTS:
        raise invalid("last", f"an image can have {MOST_OBJECTS} objects. Choose a nearer slice")
    changes: dict[int, AnnotatedObject | None] = {}
    fresh = image.now.next_object
    for done, index in enumerate(slices):
        if not goes_on(done, len(slices)):
            break
        present = [one for one in image.objects if one.slice == index]
        for chain in chains:
            if not chain.is_over:
                made = _next(segmenter, number, image, chain, index, fresh, action.source, present)
                if made is not None:
                    changes[fresh] = made
                    fresh += 1
                    changes |= dict.fromkeys(_making_room(made, present, image))
        if all(chain.is_over for chain in chains):
            break
    return Change(changes, is_step=bool(changes))


def _sources(image: Image, action: Propagate) -> list[AnnotatedObject]:
    found = [image.object(number) for number in action.objects or ()]
    if action.objects is None:
        found = [one for one in image.objects if one.slice == action.slice and not one.hidden]
    if elsewhere := [one.id for one in found if one.slice != action.slice]:
        raise invalid("objects", f"{elsewhere[0]} does not lie in the slice {action.slice}")
    found = [one for one in found if not one.mask.is_empty]
    if not found:
        raise invalid("objects", "there is none with a mask in this slice")
    return found


def _next(
    segmenter: Segmenter, number: int, image: Image, chain: _Chain, index: int, fresh: int, source: str,
    present: Sequence[AnnotatedObject],
) -> AnnotatedObject | None:  # fmt: skip
    """Take a chain on by one slice, and return the object that is new there, if any."""
    last, size = chain.last, (image.height, image.width)
    alike = [one for one in present if one.label == last.label and not _may_go(one)]
    best = max(alike, key=lambda one: dice_of(one.mask, last.mask, *size), default=None)
    if best is not None and dice_of(best.mask, last.mask, *size) >= LEAST_DICE:
        chain.last = best
        return None
    prompts = last.prompts if source == "prompts" and not last.prompts.is_empty else Prompts(box=_box_of(last.mask))
    answer = segmenter.answer(number, index, last.label, prompts)
    made = AnnotatedObject(fresh, index, last.label, prompts).answered(answer, *size)
    if dice_of(made.mask, last.mask, *size) < LEAST_DICE:
        chain.is_over = True
        return None
    chain.last = made
    return made


def _may_go(one: AnnotatedObject) -> bool:
    """Whether it is a proposal that nobody touched."""
    return one.automatic and not (one.painted or one.accepted or one.locked)


def _making_room(made: AnnotatedObject, present: Sequence[AnnotatedObject], image: Image) -> list[int]:
    size = (image.height, image.width)
    return [
        one.id
        for one in present
        if one.label == made.label and _may_go(one) and dice_of(one.mask, made.mask, *size) >= LEAST_DICE
    ]


def _box_of(mask: MaskBits) -> tuple[float, float, float, float]:
    """Return the box of a mask as a prompt, which must have an area."""
    left, top, width, height = mask.box
    right, bottom = left + max(width - 1, 0.5), top + max(height - 1, 0.5)
    return float(left), float(top), float(right), float(bottom)
