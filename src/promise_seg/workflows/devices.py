"""The devices that a user can choose."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from promise_seg.arguments import shown
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import Precision

if TYPE_CHECKING:
    from accelerate import Accelerator

WAITING_TIME = timedelta(days=1)
"""How long one of several processes waits for the others.

The main process alone measures the best model and calibrates the trust scores. With PyTorch's default for NCCL, ten
minutes, the other processes would abort the training in the meantime.
"""


def pick_device(name: str | torch.device) -> torch.device:
    """Return the torch device with this name; ``auto`` takes the fastest kind that this machine has.

    Raises:
        SettingsError: if this machine has no such device, or the name is not a text.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise SettingsError(f"--device {shown(name)}: expected auto, cpu, cuda, cuda:1 or mps")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    if not available.get(name.split(":")[0]):
        usable = ", ".join(kind for kind, here in available.items() if here)
        raise SettingsError(f"--device {name}: not available here. Choose auto or {usable}")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"--device {name}: {error}") from error
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.index is not None and device.index >= count:
        last = f"{device.type}:{count - 1}"
        raise SettingsError(f"--device {name}: not available here. The last device of this kind is {last}")
    return device


def make_accelerator(device: str | torch.device, precision: str = Precision.NO) -> "Accelerator":
    """Return an ``Accelerator`` for a device and a precision.

    Both may differ from earlier calls in this process, unless several processes train together. Such processes wait for
    each other for up to :data:`WAITING_TIME`.

    Raises:
        SettingsError: if this machine does not support them.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import InitProcessGroupKwargs

    chosen = pick_device(device)
    if PartialState._shared_state and PartialState().num_processes == 1:
        for state in (PartialState, AcceleratorState):  # they would refuse a change of device or precision
            state._shared_state = type(state._shared_state)()
    if chosen.type == "cuda" and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        torch.cuda.set_device(chosen.index or 0)  # the one that a single process trains on
    waiting = InitProcessGroupKwargs(timeout=WAITING_TIME)
    try:
        return Accelerator(cpu=chosen.type == "cpu", mixed_precision=str(precision), kwargs_handlers=[waiting])
    except (ValueError, ImportError) as error:
        raise SettingsError(f"--precision {precision} on {chosen.type}: {error}") from error
