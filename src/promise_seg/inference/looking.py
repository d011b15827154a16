"""The auto-prompters of one network look at each image once, whichever of its classes is asked about it, and how often.

Rows are scored, chosen on and calibrated on class after class. What all classes find in an image when the first of them
sees it is kept until the work is done.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from promise_seg.errors import PromiseError
from promise_seg.kept_arrays import KeptArrays
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import AutoPrompter

MOST_BYTES = 4 << 30
"""The most that is kept, in a temporary file: the maps of three classes, 128 x 128 cells each, in 10,000 images."""

Look = Callable[[Sequence[AutoPrompter]], list[dict[str, Tensor]]]
"""Returns what each of several APMs finds in one image."""

_LOOKS: ContextVar["_Looks | None"] = ContextVar("looks", default=None)


@contextmanager
def looking_once(models: Sequence[PromiseModel]) -> Iterator[None]:
    """Let the APMs of models that see alike look at each image once, as long as this context lasts.

    Models that share nothing are not affected, nor is a single one. Weights must not change meanwhile.

    Args:
        models: of all classes.
    """
    prompters = [model.apm for model in models if model.apm is not None and model.apm.image_side is not None]
    alike = [one for one in prompters if one.sees_like(prompters[0])]
    if len(alike) < 2:
        yield
        return
    looks = _Looks(alike)
    token = _LOOKS.set(looks)
    try:
        yield
    finally:
        _LOOKS.reset(token)
        looks.close()


def found_in(image: Hashable, apm: AutoPrompter, look: Look) -> dict[str, Tensor]:
    """Return what an APM finds in an image; within :func:`looking_once` what was found at the first look.

    Args:
        image: what distinguishes it, and the view of it that is seen, from all others.
        apm: in evaluation mode.
        look: at this image.
    """
    looks = _LOOKS.get()
    if looks is None or not looks.are_of(apm):
        return look([apm])[0]
    return looks.found_in(image, apm, look)


class _Looks:
    """The findings of APMs that see alike, in a temporary file."""

    def __init__(self, prompters: Sequence[AutoPrompter]) -> None:
        self._prompters = list(prompters)
        self._numbers = {id(one): number for number, one in enumerate(prompters)}
        self._arrays = KeptArrays()
        self._names: dict[Hashable, list[str]] = {}
        self._is_full = False

    def are_of(self, apm: AutoPrompter) -> bool:
        return id(apm) in self._numbers

    def found_in(self, image: Hashable, apm: AutoPrompter, look: Look) -> dict[str, Tensor]:
        key = image, self._numbers[id(apm)]
        if key in self._names:
            return {name: torch.from_numpy(self._arrays.get((key, name))).to(apm.device) for name in self._names[key]}
        if self._is_full:
            return look([apm])[0]
        found = look(self._prompters)
        for number, one in enumerate(found):
            self._keep((image, number), one)
        return found[key[1]]

    def _keep(self, key: Hashable, found: dict[str, Tensor]) -> None:
        """Keep the findings of one class, unless there is no room for them: then it looks again."""
        try:
            for name, one in found.items():
                self._arrays.put((key, name), one.cpu().numpy())
        except PromiseError:
            self._is_full = True
            return
        self._names[key] = list(found)
        self._is_full = self._arrays.size >= MOST_BYTES

    def close(self) -> None:
        self._arrays.close()
