"""The identity of the predictions in a folder: the model and the options that they were made with."""

from collections.abc import Callable, Collection
from pathlib import Path

from promise_seg.errors import PromiseError, first_line
from promise_seg.images.own_folders import PREDICTION_FOLDERS, PREDICTION_IDENTITY, PREDICTION_PARTS
from promise_seg.images.reading import Reading, ReadingOptions
from promise_seg.storage.locks import in_turn
from promise_seg.storage.sealed import read_sealed, write_sealed
from promise_seg.storage.strays import remove_strays

_WORDS: dict[str, Callable[[dict[str, object]], str]] = {
    "format": lambda known: "in another format",
    "names": lambda known: "under another --name",
    "instances": lambda known: "of separate objects" if "instances" in known else "without separate objects",
    "keep_empty_frames": lambda known: "with empty frames" if "keep_empty_frames" in known else "without empty frames",
    "every": lambda known: f"of videos with --every {known.get('every', 1)}",
    "encoder_precision": lambda known: f"with --encoder-precision {known.get('encoder_precision', 'as in training')}",
    "slices": lambda known: f"with --slices {known.get('slices', 'auto')}",
    "axes": lambda known: f"with --axes {known['axes']}" if "axes" in known else "without --axes",
    "reading": lambda known: (
        f"with {known['reading']}" if "reading" in known else "of images that were read as in training"
    ),
    "always_segments": lambda known: f"{'with' if 'always_segments' in known else 'without'} --always-segment",
    "trust_sha256": lambda known: "with other trust scores: the model was calibrated, or its calibration lost, since",
}
"""For each entry of the identity, a function that describes the predictions in a folder in which it differs."""


def keep_identity(folder: Path, identity: dict[str, object], without: Collection[str] = ()) -> None:
    """Record the identity of a new folder, or check that it matches the recorded one.

    Args:
        folder: folder of predictions.
        identity: the identity to record.
        without: the entries that may differ from the recorded ones.

    Raises:
        PromiseError: if the folder holds predictions of another model, or with other options.
    """
    path = folder / PREDICTION_IDENTITY
    remove_strays(folder)
    if _is_kept(path, identity, without):
        return
    with in_turn(path):
        keep_in_turn(folder, identity, without)


def keep_in_turn(folder: Path, identity: dict[str, object], without: Collection[str] = ()) -> None:
    """Do the same as :func:`keep_identity` in a process that has the lock of the identity."""
    path = folder / PREDICTION_IDENTITY
    if not _is_kept(path, identity, without):
        write_sealed(path, identity)


def check_identity(folder: Path, identity: dict[str, object]) -> None:
    """Check the identity like :func:`keep_identity`, without writing anything."""
    _is_kept(folder / PREDICTION_IDENTITY, identity)


def read_identity(folder: Path) -> dict[str, object]:
    """Read the identity of the predictions in a folder.

    Raises:
        PromiseError: if the file cannot be read.
    """
    path = folder / PREDICTION_IDENTITY
    try:
        return read_sealed(path)
    except (OSError, ValueError) as error:
        raise PromiseError(f"{path}: cannot be read: {first_line(error)}. Choose another -o folder") from error


def options_between(reading: Reading, trained: Reading) -> str:
    """Return the options that change how images are read compared with training, such as ``--tile 64 --overlap 8``."""
    return " ".join(ReadingOptions.that_give(reading.without_masks, trained.without_masks).arguments)


def _is_kept(path: Path, identity: dict[str, object], without: Collection[str] = ()) -> bool:
    """Whether the identity is recorded in the folder already; raise an error if another one is."""
    if not path.exists():
        return False
    known = read_identity(path.parent)
    if all(known.get(name) == identity.get(name) for name in (known | identity).keys() - set(without)):
        return True
    folder, what = path.parent, _what_differs(known, identity)
    if not any((folder / name).exists() for name in (PREDICTION_PARTS, *PREDICTION_FOLDERS)):
        raise PromiseError(
            f"{folder}: was begun for predictions {what}, and holds none of them. Delete {path} if no other process "
            "is at work there, or choose another -o folder"
        )
    raise PromiseError(f"{folder}: contains predictions {what}. Choose another -o folder")


def _what_differs(known: dict[str, object], identity: dict[str, object]) -> str:
    """Describe how the predictions in a folder differ from the requested ones."""
    differing = [name for name in known | identity if known.get(name) != identity.get(name)]
    if any(name not in _WORDS for name in differing):
        return "of another model"
    return " and ".join(words(known) for name, words in _WORDS.items() if name in differing)
