"""The identity of the predictions in a folder: by which model, and with which options, they were made."""

from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.images.own_folders import PREDICTION_IDENTITY
from promise_seg.images.reading import Reading, ReadingOptions
from promise_seg.locks import in_turn
from promise_seg.sealed import read_sealed, write_sealed


def keep_identity(folder: Path, identity: dict[str, object]) -> None:
    """Note what a new folder holds, or compare with what is noted.

    Raises:
        PromiseError: if the folder holds predictions of another model, or with other options.
    """
    path = folder / PREDICTION_IDENTITY
    if _is_kept(path, identity):
        return
    with in_turn(path):
        if not _is_kept(path, identity):
            write_sealed(path, identity)


def read_identity(folder: Path) -> dict[str, object]:
    """Read the identity of the predictions in a folder.

    Raises:
        PromiseError: if it cannot be read.
    """
    path = folder / PREDICTION_IDENTITY
    try:
        return read_sealed(path)
    except (OSError, ValueError) as error:
        raise PromiseError(f"{path}: cannot be read: {error}. Choose another -o folder") from error


def options_between(reading: Reading, trained: Reading) -> str:
    """Return the options by which images are read otherwise than in training, such as ``--tile 64 --overlap 8``."""
    return " ".join(ReadingOptions.that_give(reading.without_masks, trained.without_masks).words)


def _is_kept(path: Path, identity: dict[str, object]) -> bool:
    """Whether an identity is noted; another one is refused."""
    if not path.exists():
        return False
    known = read_identity(path.parent)
    if known == identity:
        return True
    what = "of another model"
    if known | {"format": identity["format"]} == identity:
        what = "in another format"
    elif _without(known, "keep_empty_frames") == _without(identity, "keep_empty_frames"):
        what = "with empty frames" if "keep_empty_frames" in known else "without empty frames"
    elif _without(known, "every") == _without(identity, "every"):
        what = f"of videos with --every {known.get('every', 1)}"
    elif _without(known, "encoder_precision") == _without(identity, "encoder_precision"):
        what = f"with --encoder-precision {known.get('encoder_precision', 'as in training')}"
    elif _without(known, "slices") == _without(identity, "slices"):
        what = f"with --slices {known.get('slices', 'auto')}"
    elif _without(known, "reading") == _without(identity, "reading"):
        what = f"with {known['reading']}" if "reading" in known else "of images that were read as in training"
    elif _without(known, "always_segments") == _without(identity, "always_segments"):
        what = f"{'with' if 'always_segments' in known else 'without'} --always-segment"
    elif _without(known, "instances") == _without(identity, "instances"):
        what = "of separate objects" if "instances" in known else "without separate objects"
    elif known | {"names": identity["names"]} == identity:
        what = "under another --name"
    elif _without(known, "trust_sha256") == _without(identity, "trust_sha256"):
        what = "with other trust scores: the model was calibrated, or its calibration lost, since"
    raise PromiseError(f"{path.parent}: contains predictions {what}. Choose another -o folder")


def _without(identity: dict[str, object], name: str) -> dict[str, object]:
    return {other: value for other, value in identity.items() if other != name}
