"""The folders that the computers of a cluster must share with the one on which a command is run."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.fleet.ray_cluster import RayOptions
from promise_seg.fleet.work import SharedFolders
from promise_seg.storage.remote_paths import RemotePath
from promise_seg.storage.strays import renewed, temporary_name


@contextmanager
def place_of(folder: Path | None, first: Sequence[Path]) -> Iterator[SharedFolders]:
    """Leave a marker file in a folder while a cluster works in it; workers check by it that they see the same folder.

    Args:
        folder: the output folder; created if it does not exist, and then removed at the end if it is empty; ``None`` if
            the output is not a folder.
        first: files that workers must see, too.

    Raises:
        PromiseError: if the folder cannot be written.
    """
    files = tuple(str(path.absolute()) for path in first if not isinstance(path, RemotePath))
    if folder is None:
        yield SharedFolders(str(Path.cwd()), "", "", files)
        return
    mark, content, is_new = folder.absolute() / temporary_name("ray"), secrets.token_hex(16), not folder.exists()
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(content, encoding="utf-8")
    except OSError as error:
        raise PromiseError(f"{folder}: cannot write: {error.strerror}. Choose another folder") from error
    try:
        with renewed(mark):
            yield SharedFolders(str(Path.cwd()), str(mark), content, files)
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def check_no_ray_cpus(cpus: int) -> None:
    """Check that no number of CPUs for workers is given without a cluster.

    Raises:
        SettingsError: if it is not the default, 1.
    """
    if cpus != 1:
        raise SettingsError(
            f"--ray-cpus {cpus}: only says what workers of a Ray cluster get. Add --ray, or leave it out"
        )


def ray_options(address: str, cpus: int, device: str | torch.device) -> RayOptions:
    """Return the options of a cluster as a user gives them.

    Args:
        address: the address of the cluster.
        cpus: the number of CPUs of each worker.
        device: the device of all workers: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        SettingsError: if an option is invalid.
    """
    name = str(device)
    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"--device {name}: with --ray, expected auto, cpu or cuda; Ray chooses which GPU")
    options = RayOptions(address, cpus, None if name == "auto" else name == "cuda")
    options.check()
    return options
