"""Share the batches of a training among several processes."""

from accelerate import Accelerator, DistributedDataParallelKwargs

from promise_seg.errors import SettingsError
from promise_seg.learning.settings import TrainSettings
from promise_seg.vocabulary import TrainAlso


def share_batches(accelerator: Accelerator, settings: TrainSettings, *, take_turns: bool = False) -> None:
    """Configure an accelerator so that each process learns from an equal share of every batch.

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
    accelerator.dataloader_config.split_batches = True
    # Not every trained part of SAM is used in a step: the embedding of mask prompts, for example, never is.
    some_unused = take_turns or settings.train_also != TrainAlso.NONE or settings.decoder_interval > 1
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=some_unused)
