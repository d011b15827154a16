"""The training steps of one network for several classes: each image is read and passes the network once for all."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from promise_seg.learning.epoch_steps import EpochSteps
from promise_seg.learning.objective import OF_MASKS, training_losses
from promise_seg.learning.training_set import Draw, TrainingBatch, TrainingSet, collate

ClassesBatch = tuple[TrainingBatch, ...]
"""A batch of the same views for each class; only the first batch holds the inputs of the model."""


class ClassesSet(Dataset[ClassesBatch]):
    """The train rows of several classes by :class:`Draw`: one view, and a target for each class.

    Args:
        sets: the training sets of the classes, with the same images in the same order.
    """

    def __init__(self, sets: Sequence[TrainingSet]) -> None:
        self._sets = tuple(sets)

    def __len__(self) -> int:
        return len(self._sets[0])

    def __getitem__(self, draw: Draw) -> ClassesBatch:
        return tuple(one.item(draw, with_inputs=number == 0) for number, one in enumerate(self._sets))


def collate_classes(items: list[ClassesBatch]) -> ClassesBatch:
    """Collate single-image batches to a batch of several images, class by class."""
    return tuple(collate(list(of_class)) for of_class in zip(*items, strict=True))


class ClassesSteps(EpochSteps):
    """The training steps of a network of several classes.

    A batch holds the same views for each class, and a step's loss is the mean over the classes. SAM's decoder, whose
    cost grows with their number, decodes the masks of one class in a step, and the classes take turns.
    """

    def _parts(self, batch: ClassesBatch) -> list[tuple[ClassesBatch, float]]:
        parts = zip(*(one.parts(self.settings.accumulate) for one in batch), strict=True)
        return [(part, len(part[0].target) / len(batch[0].target)) for part in parts]

    def _losses(self, part: ClassesBatch, step: int, *, decodes: bool) -> dict[str, Tensor]:
        """Return the mean losses over the classes; losses on masks are those of the class whose turn it is."""
        decoded = (self._turn(step, len(part)),) if decodes else ()
        given = [self._given(one, step) if number in decoded else [] for number, one in enumerate(part)]
        with self.accelerator.autocast():
            outputs = self.network(part[0].inputs, given, most_sets=self.settings.own_sets, decoded=decoded)
        found = [
            training_losses(out, one, self.settings, self.image_size) for out, one in zip(outputs, part, strict=True)
        ]
        names = dict.fromkeys(name for losses in found for name in losses)
        means = {name: torch.stack([one[name] for one in found if name in one]).sum() / len(found) for name in names}
        return {name: mean * len(found) if name in OF_MASKS else mean for name, mean in means.items()}

    def _turn(self, step: int, classes: int) -> int:
        """Return the index of the class whose masks are learned in a step of this epoch."""
        interval = self.settings.decoder_interval
        return (self.draws.epoch * -(-len(self.loader) // interval) + step // interval) % classes
