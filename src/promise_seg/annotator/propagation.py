"""Propagation of objects from one slice to the following or preceding slices, as one undo step."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promise_seg.annotator.actions import Image
from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.bodies import MOST_OBJECTS, Propagate
from promise_seg.annotator.history import Change
from promise_seg.annotator.objects import AnnotatedObject, Prompts
from promise_seg.annotator.overlap import dice_of
from promise_seg.annotator.refusals import Refusal, failed, invalid
from promise_seg.annotator.segmenter import Segmenter

_LOG = logging.getLogger(__name__)
LEAST_DICE = 0.3
"""The least Dice of an object's masks in neighbouring slices; with a lower one, the object has ended."""
GoesOn = Callable[[int, int], bool]
"""A function that gets the numbers of finished slices and of all slices, and returns whether to continue."""


class Propagations:
    """The running propagations by image: their progress, and whether they are cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._far: dict[int, tuple[int, int]] = {}
        self._cancelled: set[int] = set()
        self._closed = False

    def goes_on(self, image: int) -> GoesOn:
        """Register a propagation of an image; return the function that records its progress."""
        with self._lock:
            self._far[image] = 0, 0

        def note(done: int, total: int) -> bool:
            with self._lock:
                self._far[image] = done, total
                return image not in self._cancelled and not self._closed

        return note

    def cancel(self, image: int) -> None:
        """Cancel the propagation of an image after its current slice. The objects made until then are kept."""
        with self._lock:
            if image in self._far:
                self._cancelled.add(image)

    def close(self) -> None:
        """Cancel all propagations."""
        with self._lock:
            self._closed = True

    def end(self, image: int) -> None:
        """Remove the propagation of an image, which has ended."""
        with self._lock:
            self._far.pop(image, None)
            self._cancelled.discard(image)

    def facts(self, image: int) -> dict[str, Any]:
        """Return the progress of an image's propagation as JSON for clients, see docs/annotator-api.md."""
        with self._lock:
            done, total = self._far.get(image, (0, 0))
            return {"running": image in self._far, "done": done, "total": total}


@dataclass
class _Chain:
    """An object that is propagated: its newest version, whether it has ended, and the error that ended it, if any."""

    last: AnnotatedObject
    is_over: bool = False
    error: Refusal | None = None


def propagated(segmenter: Segmenter, number: int, image: Image, action: Propagate, goes_on: GoesOn) -> Change:
    """Return the change that propagates objects of a slice to all slices up to another.

    In the next slice, the model is prompted with the box of the object's mask in the present slice, or with the
    object's own prompts. If a person made an object of the same class there, that object stays and is propagated
    instead; proposals that nobody edited are replaced. An object ends where its mask is empty or hardly overlaps that
    of the slice before. Propagation also ends at a slice that cannot be read, and when the image can have no more
    objects; the objects made until then are kept, with a note.

    Args:
        segmenter: the models that make the masks.
        number: the number of the image.
        image: the state of the image before the action.
        action: the objects, the slice they are in, and the last slice.
        goes_on: called before each slice; returns whether to continue.

    Raises:
        Refusal: if there is no such slice, there are no objects to propagate, or the first slice failed.
    """
    image.check_slice(action.slice)
    image.check_slice(action.last)
    if action.last == action.slice:
        raise invalid("last", "expected another slice than the one to begin with")
    step = 1 if action.last > action.slice else -1
    slices = range(action.slice + step, action.last + step, step)
    chains = [_Chain(one) for one in _sources(image, action)]
    changes: dict[int, AnnotatedObject | None] = {}
    fresh, notes = image.now.next_object, list[str]()
    for done, index in enumerate(slices):
        if notes or all(chain.is_over for chain in chains) or not goes_on(done, len(slices)):
            break
        present = [one for one in image.objects if one.slice == index]
        for chain in (one for one in chains if not one.is_over):
            if _count(image, changes) >= MOST_OBJECTS:
                notes.append(f"It ended at slice {index + 1}: an image can have {MOST_OBJECTS} objects")
                break
            made = _next(segmenter, number, image, chain, index, fresh, action.source, present)
            if made is not None:
                changes[fresh] = made
                fresh += 1
                changes |= dict.fromkeys(_making_room(made, present, image))
            elif chain.error is not None and not changes:
                raise chain.error
            elif chain.error is not None:
                notes.append(f"It ended at slice {index + 1}: {chain.error.message}")
    if notes and not changes:
        raise invalid("objects", notes[0])
    return Change(changes, is_step=bool(changes), note=". ".join(dict.fromkeys(notes)))


def _count(image: Image, changes: Mapping[int, AnnotatedObject | None]) -> int:
    """Return the number of objects of an image after some changes."""
    return len({one.id for one in image.objects} | set(changes)) - sum(one is None for one in changes.values())


def _sources(image: Image, action: Propagate) -> list[AnnotatedObject]:
    found = [image.object(number) for number in dict.fromkeys(action.objects or ())]
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
    """Propagate a chain by one slice, and return the new object in that slice, if any."""
    last, size = chain.last, (image.height, image.width)
    alike = [one for one in present if one.label == last.label and not _may_go(one)]
    best = max(alike, key=lambda one: dice_of(one.mask, last.mask, *size), default=None)
    if best is not None and dice_of(best.mask, last.mask, *size) >= LEAST_DICE:
        chain.last = best
        return None
    prompts = last.prompts if source == "prompts" and not last.prompts.is_empty else Prompts(box=_box_of(last.mask))
    try:
        answer = segmenter.answer(number, index, last.label, prompts)
    except (Refusal, RuntimeError, MemoryError) as error:  # the objects made until here are kept
        _LOG.info("image %d, slice %d", number, index, exc_info=True)
        chain.is_over, chain.error = True, error if isinstance(error, Refusal) else failed()
        return None
    made = AnnotatedObject(fresh, index, last.label, prompts).answered(answer, *size)
    if dice_of(made.mask, last.mask, *size) < LEAST_DICE:
        chain.is_over = True
        return None
    chain.last = made
    return made


def _may_go(one: AnnotatedObject) -> bool:
    """Whether the object is a proposal that nobody edited."""
    return one.automatic and not (one.painted or one.accepted or one.locked)


def _making_room(made: AnnotatedObject, present: Sequence[AnnotatedObject], image: Image) -> list[int]:
    size = (image.height, image.width)
    return [
        one.id
        for one in present
        if one.label == made.label and _may_go(one) and dice_of(one.mask, made.mask, *size) >= LEAST_DICE
    ]


def _box_of(mask: MaskBits) -> tuple[float, float, float, float]:
    """Return the box of a mask as a prompt, enlarged where it would have no area."""
    left, top, width, height = mask.box
    right, bottom = left + max(width - 1, 0.5), top + max(height - 1, 0.5)
    return float(left), float(top), float(right), float(bottom)
