"""Checks of the paths on a command line, made before a command loads PyTorch, which takes seconds."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from promise_seg.errors import CheckpointError, ImageError, no_checkpoint_words
from promise_seg.storage.object_stores import is_address

P = ParamSpec("P")
Code = TypeVar("Code")

_PARTS_OF_RUN = ("best", "last")
_PICKLES = (".pt", ".pth")


def paths_first(command: Callable[P, Code]) -> Callable[P, Code]:
    """Check the arguments ``data``, ``images`` and ``run`` of a command before it is called.

    The signature from which typer makes the options is kept. Whatever cannot be decided cheaply, such as an address, is
    left to the command, which reports problems in the same words.
    """

    @functools.wraps(command)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Code:
        lacks_images = "images" in kwargs and not kwargs["images"]  # the command says so, or needs none
        if not lacks_images:
            _check(kwargs.get("data"), kwargs.get("images"), kwargs.get("run"))
        return command(*args, **kwargs)

    return checked


def _check(data: object, images: object, run: object) -> None:
    if isinstance(data, Path):
        check_manifest_file(data)
    for place in images if isinstance(images, list) else ():
        check_exists(place)
    if isinstance(run, str | Path):
        check_model_exists(run)


def check_manifest_file(data: Path) -> None:
    """Check that a manifest can be read and has its columns, unless it is at an address.

    Raises:
        ManifestError: if it is missing, cannot be read, lacks a column, or has no rows.
        SettingsError: if it is in Parquet, and ``pyarrow`` is not installed.
    """
    from promise_seg.dataset.manifest_file import read_file

    if not is_address(str(data)):
        read_file(data)


def check_exists(place: str) -> None:
    """Check that an image or a folder of images exists, unless it is at an address or in an archive.

    Raises:
        ImageError: if it does not exist.
    """
    if ":/" not in place and _is_missing(place):
        raise ImageError(f"{Path(place)}: no such file or folder")


def check_model_exists(name: str | Path) -> None:
    """Check that there is a file or folder of a model's name.

    A missing ``best`` or ``last`` is not reported here, because opening it may restore it after an interruption.

    Raises:
        CheckpointError: if there is neither.
    """
    path = Path(name)
    if str(name) == "bare" or path.name in _PARTS_OF_RUN or path.suffix in _PICKLES:
        return
    if _is_missing(path):
        raise CheckpointError(no_checkpoint_words(path))


def _is_missing(place: str | Path) -> bool:
    try:
        Path(place).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # the command gives the reason
        return False
    return False
