"""A cache of the outputs of auto-prompters that share a trunk, which runs once for each image, for all classes.

Rows are scored, tuned and calibrated class by class. The outputs for all classes are computed when the first class
needs an image, and kept until the work is done.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from promise_seg.errors import PromiseError
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import AutoPrompter
from promise_seg.storage.kept_arrays import KeptArrays

MOST_BYTES = 4 << 30
"""The size limit of the temporary file: room for the maps of three classes, 128 x 128 cells each, of 10,000 images."""

RunApms = Callable[[Sequence[AutoPrompter]], list[dict[str, Tensor]]]
"""Returns the outputs of each of several APMs for one image."""

_CACHE: ContextVar["_Cache | None"] = ContextVar("apm_cache", default=None)


@contextmanager
def caching_apm_outputs(models: Sequence[PromiseModel]) -> Iterator[None]:
    """Run a trunk that the APMs of several models share only once for each image while this context lasts.

    Models whose APMs share no trunk are not affected. Weights must not change in this context.

    Args:
        models: the models of all classes.
    """
    prompters = [model.apm for model in models if model.apm is not None and model.apm.image_side is not None]
    sharing = [one for one in prompters if one.shares_trunk(prompters[0])]
    if len(sharing) < 2:
        yield
        return
    cache = _Cache(sharing)
    token = _CACHE.set(cache)
    try:
        yield
    finally:
        _CACHE.reset(token)
        cache.close()


def apm_outputs(image: Hashable, apm: AutoPrompter, run: RunApms) -> dict[str, Tensor]:
    """Return the outputs of an APM for an image, from the cache of :func:`caching_apm_outputs` if possible.

    Args:
        image: key that identifies the image and the view of it that the APM reads.
        apm: the APM, in evaluation mode.
        run: runs APMs on this image.
    """
    cache = _CACHE.get()
    if cache is None or not cache.is_for(apm):
        return run([apm])[0]
    return cache.outputs(image, apm, run)


class _Cache:
    """The outputs of APMs that share a trunk, in a temporary file."""

    def __init__(self, prompters: Sequence[AutoPrompter]) -> None:
        self._prompters = list(prompters)
        self._numbers = {id(one): number for number, one in enumerate(prompters)}
        self._arrays = KeptArrays()
        self._names: dict[Hashable, list[str]] = {}
        self._is_full = False

    def is_for(self, apm: AutoPrompter) -> bool:
        return id(apm) in self._numbers

    def outputs(self, image: Hashable, apm: AutoPrompter, run: RunApms) -> dict[str, Tensor]:
        key = image, self._numbers[id(apm)]
        if key in self._names:
            return {name: torch.from_numpy(self._arrays.get((key, name))).to(apm.device) for name in self._names[key]}
        if self._is_full:
            return run([apm])[0]
        outputs = run(self._prompters)
        for number, of_one in enumerate(outputs):
            self._keep((image, number), of_one)
        return outputs[key[1]]

    def _keep(self, key: Hashable, outputs: dict[str, Tensor]) -> None:
        """Keep the outputs for one class; outputs for which there is no room are computed again when needed."""
        try:
            for name, value in outputs.items():
                self._arrays.put((key, name), value.cpu().numpy())
        except PromiseError:
            self._is_full = True
            return
        self._names[key] = list(outputs)
        self._is_full = self._arrays.size >= MOST_BYTES

    def close(self) -> None:
        self._arrays.close()
