"""The environment in which a result was made: versions, hardware and system, without identifying the machine."""

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import BaseModel, ConfigDict

from promise_seg._version import __version__
from promise_seg.processes import cores

if TYPE_CHECKING:
    import torch

_LIBRARIES = ("torch", "transformers", "monai", "numpy", "pysodmetrics")
_CPU_FACTS = Path("/proc/cpuinfo")


class Environment(BaseModel):
    """The versions of packages, the processor with the usable cores, the memory, and the computing device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    versions: dict[str, str]
    processor: str
    cores: int
    memory_bytes: int | None
    device: str
    operating_system: str


def collect_environment(device: "torch.device") -> Environment:
    """Return the environment of this process.

    Args:
        device: the computing device; the name of a CUDA device is queried.
    """
    versions = {"promise-seg": __version__, "python": platform.python_version()}
    return Environment(
        versions=versions | {name: _version(name) for name in _LIBRARIES},
        processor=_processor(),
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        device=_device_name(device),
        operating_system=_operating_system(),
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not known"


def _processor() -> str:
    if _CPU_FACTS.exists():
        for line in _CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine() or "not known"


def _device_name(device: "torch.device") -> str:
    if device.type != "cuda":
        return device.type
    import torch

    return f"{device.type}: {torch.cuda.get_device_name(device)}"


def _operating_system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = f"{platform.system()} {platform.release()}"
    return f"{name}, {platform.machine()}"
