"""The folders that the computers of a cluster must share with the one where a command is given."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.fleet.ray_cluster import RayOptions
from promise_seg.fleet.work import Place
from promise_seg.remote_paths import RemotePath
from promise_seg.strays import renewed, temporary_name


@contextmanager
def place_of(folder: Path | None, first: Sequence[Path]) -> Iterator[Place]:
    """Leave a mark in a folder while a cluster works in it, by which workers tell that theirs is the same.

    Args:
        folder: where results are written; made if it is not there, and removed at the end if it is empty then; ``None``
            if it is no folder.
        first: files that workers must see, too.

    Raises:
        PromiseError: if the folder cannot be written.
    """
    files = tuple(str(path.absolute()) for path in first if not isinstance(path, RemotePath))
    if folder is None:
        yield Place(str(Path.cwd()), "", "", files)
        return
    mark, content, is_new = folder.absolute() / temporary_name("ray"), secrets.token_hex(16), not folder.exists()
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(content, encoding="utf-8")
    except OSError as error:
        raise PromiseError(f"{folder}: cannot write: {error.strerror}. Choose another folder") from error
    try:
        with renewed(mark):
            yield Place(str(Path.cwd()), str(mark), content, files)
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def check_no_ray_cpus(cpus: int) -> None:
    """Refuse a number of CPUs for workers where no cluster is asked for.

    Raises:
        SettingsError: if it is not the usual number.
    """
    if cpus != 1:
        raise SettingsError(
            f"--ray-cpus {cpus}: only says what workers of a Ray cluster get. Add --ray, or leave it out"
        )


def ray_options(address: str, cpus: int, device: str | torch.device) -> RayOptions:
    """Return what a user says of a cluster.

    Args:
        address: of the cluster.
        cpus: of each worker.
        device: which all workers have.

    Raises:
        SettingsError: if it cannot be meant.
    """
    name = str(device)
    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"--device {name}: with --ray, expected auto, cpu or cuda; Ray chooses which GPU")
    options = RayOptions(address, cpus, None if name == "auto" else name == "cuda")
    options.check()
    return options
