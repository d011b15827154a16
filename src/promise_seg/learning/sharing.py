"""Share the batches of a training among several processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from accelerate import Accelerator, DistributedDataParallelKwargs
from torch.utils.data import BatchSampler, DataLoader, Sampler

from promise_seg.errors import SettingsError
from promise_seg.learning.settings import TrainSettings
from promise_seg.vocabulary import TrainAlso


@dataclass(frozen=True)
class Share:
    """The share of one of several processes in every batch: whole batches are shared equally.

    The last batch of an epoch may be smaller, so the shares may differ by one image, and may be empty.

    Args:
        process: the number of the process, from 0.
        processes: the number of processes.
    """

    process: int
    processes: int

    @classmethod
    def of_process(cls, accelerator: Accelerator) -> Self:
        """Return the share of this process."""
        return cls(accelerator.process_index, accelerator.num_processes)

    def of(self, size: int) -> slice:
        """Return the images of a batch of this size."""
        return slice(size * self.process // self.processes, size * (self.process + 1) // self.processes)

    def weight(self, size: int) -> float:
        """Return the factor with which the mean over the processes is the mean over a batch of this size."""
        if self.processes == 1:
            return 1.0
        own = self.of(size)
        return (own.stop - own.start) * self.processes / size


class SharedBatches(Sampler[list[Any]]):
    """The entries of each batch that one process reads.

    All processes must take part in every step, so a process with an empty share reads the first entry of the batch;
    the weight of its share is 0.

    Args:
        batches: the entries of each batch.
        share: the share of the process.
    """

    def __init__(self, batches: BatchSampler, share: Share) -> None:
        self._batches, self._share = batches, share

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self._batches:
            yield batch[self._share.of(len(batch))] or batch[:1]


def shared_loader(loader: DataLoader, accelerator: Accelerator) -> DataLoader:
    """Return a loader of the share of this process in each batch; of whole batches, if there is only one process.

    Accelerate would fill up the last batch of an epoch with images of the first one, which then count twice.
    """
    batches = loader.batch_sampler
    if accelerator.num_processes == 1 or not isinstance(batches, BatchSampler):
        prepared: DataLoader = accelerator.prepare(loader)
        return prepared
    shared = SharedBatches(batches, Share.of_process(accelerator))
    return DataLoader(loader.dataset, batch_sampler=shared, collate_fn=loader.collate_fn)


def share_batches(accelerator: Accelerator, settings: TrainSettings, *, take_turns: bool = False) -> None:
    """Check that batches can be shared equally among the processes, and configure their accelerator for it.

    Args:
        accelerator: the accelerator of the processes.
        settings: the settings of the training.
        take_turns: whether some trained parts are used in some steps only.

    Raises:
        SettingsError: if batches of this size cannot be shared equally, or have fewer images than ``accumulate``.
    """
    processes = accelerator.num_processes
    if settings.accumulate > max(1, settings.batch_size // processes):
        raise SettingsError(
            f"--accumulate {settings.accumulate}: a batch of {settings.batch_size}"
            f"{f', shared by {processes} processes,' if processes > 1 else ''} has fewer images than that. Choose at "
            f"most {max(1, settings.batch_size // processes)}"
        )
    if settings.batch_size % processes:
        raise SettingsError(
            f"--batch-size {settings.batch_size}: cannot be shared equally among {processes} processes. "
            f"Choose a multiple of {processes}"
        )
    # Not every trained part of SAM is used in a step: the embedding of mask prompts, for example, never is.
    some_unused = take_turns or settings.train_also != TrainAlso.NONE or settings.decoder_interval > 1
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=some_unused)
