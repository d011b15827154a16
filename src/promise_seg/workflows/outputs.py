"""Checks of the folders that results are written to."""

import errno
import tempfile
from pathlib import Path

from promise_seg.arguments import check_place
from promise_seg.checkpoint import CONFIG_FILE, RUN_PARTS
from promise_seg.class_sets import class_folder
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.learning.run_note import SETTINGS_FILE
from promise_seg.storage.files import check_writable
from promise_seg.storage.object_stores import is_address
from promise_seg.storage.remote_paths import RemotePath, as_path
from promise_seg.workflows.noting import Note


def check_output(folder: str | Path) -> None:
    """Create a folder for results and check that it is writable, before long work.

    Raises:
        SettingsError: if it is a checkpoint of a run, or an address.
        PromiseError: if the system cannot write there.
    """
    refuse_checkpoints(folder)
    check_writable(folder)


def check_output_place(folder: str | Path) -> None:
    """Check that results can be written to a folder, as :func:`check_output` does, but create nothing.

    Raises:
        SettingsError: if it is a checkpoint of a run, a file, or an address.
        PromiseError: if the system cannot write there.
    """
    refuse_checkpoints(folder)
    refuse_file(folder)
    _refuse_unwritable(folder)


def _refuse_unwritable(folder: str | Path) -> None:
    if (error := error_of_writing(folder)) is not None:
        raise PromiseError(f"-o {folder}: cannot write: {error.strerror or error}. Choose another place") from error


def error_of_writing(folder: str | Path) -> OSError | None:
    """Return the error of writing to a folder that may not exist yet, or ``None``; nothing is left behind."""
    place = Path(folder).absolute()
    for one in (place, *place.parents):
        try:
            one.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return error
        found = _error_within(one)
        if found is None or one == place or not one.is_dir():
            return found
        return OSError(found.errno, f"nothing can be created in {one} ({found.strerror or found})", str(one))
    return None


def _error_within(existing: Path) -> OSError | None:
    if not existing.is_dir():
        return NotADirectoryError(errno.ENOTDIR, f"{existing} is a file", str(existing))
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        return error


def refuse_checkpoints(folder: str | Path) -> None:
    """Check that a folder is not a checkpoint of a run, which training replaces with all its content.

    Raises:
        SettingsError: if it is one, naming the run; or if it is an address.
    """
    if is_address(str(folder)):
        raise SettingsError(f"-o {as_path(folder)}: only predictions are written to addresses. Choose a folder")
    run = Path(folder).absolute().parent
    if Path(folder).name in RUN_PARTS and (run / SETTINGS_FILE).is_file():
        raise SettingsError(
            f"-o {folder}: is a checkpoint of the run {run}, which training replaces with all that is in it. Choose "
            "another folder"
        )


def refuse_file(folder: str | Path) -> None:
    """Check that the place of a folder for results is not a file.

    Raises:
        SettingsError: if it is one.
    """
    if not is_address(str(folder)) and Path(folder).is_file():
        raise SettingsError(f"-o {folder}: is a file; expected a folder. Choose another place")


def check_run_folder(folder: str | Path) -> None:
    """Check that a training can begin in a folder: it must not hold a model without a run.

    Raises:
        SettingsError: if it holds one, is a checkpoint of a run, or is a file or an address.
        PromiseError: if there is no such folder yet, and the system cannot create it.
    """
    check_place(folder, "output")
    refuse_checkpoints(folder)
    refuse_file(folder)
    if not Path(folder).exists():
        _refuse_unwritable(folder)
    if (Path(folder) / CONFIG_FILE).is_file() and not (Path(folder) / SETTINGS_FILE).is_file():
        raise SettingsError(
            f"-o {folder}: holds a model that was not trained there. Choose another folder; to train it further, give "
            f"it with --init {folder}"
        )


def check_apart_from_data(folder: str | Path, data: Dataset, note: Note) -> None:
    """Check that the folder of a training contains no files of its data.

    Args:
        folder: the folder of the run.
        data: the images and masks to train on.
        note: called with a line if images or masks are in the folder of a run that exists already. Later searches for
            images in a folder above leave out runs with all that is in them.

    Raises:
        SettingsError: if a file of the data is in the folder of a new run, or in a folder that training replaces, such
            as ``best``.
    """
    run = Path(folder).resolve()
    runs = [run, *(class_folder(run, label) for label in data.classes)]
    replaced = [place / part for place in runs for part in RUN_PARTS]
    examples = {path.parent: path for row in reversed(data.rows) for path in (row.row.mask, row.row.image)}
    local = [(above.resolve(), path) for above, path in examples.items() if not isinstance(above, RemotePath)]
    within = [(above, path) for above, path in local if above.is_relative_to(run)]
    for above, path in within:
        for place in replaced:
            if above.is_relative_to(place):
                raise SettingsError(
                    f"-o {folder}: training replaces {place} with all that is in it, and {path} is a file of the data. "
                    "Choose another folder"
                )
    if not within:
        return
    found = f"-o {folder}: contains files of the data, such as {within[0][1]}"
    if not any((place / SETTINGS_FILE).is_file() for place in runs):
        raise SettingsError(
            f"{found}; expected a folder without data, because commands that search for images leave out a folder that "
            "holds a run. Choose another folder"
        )
    note(
        f"{found}. Commands that search a folder above it for images will leave it out, because it holds a run. Choose "
        "a folder without data to avoid this"
    )
