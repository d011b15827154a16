"""Checks of the folders that results are written to."""

from pathlib import Path

from promise_seg.arguments import check_place
from promise_seg.checkpoint import CONFIG_FILE, RUN_PARTS
from promise_seg.errors import SettingsError
from promise_seg.learning.run_note import SETTINGS_FILE
from promise_seg.storage.files import check_writable
from promise_seg.storage.object_stores import is_address
from promise_seg.storage.remote_paths import as_path


def check_output(folder: str | Path) -> None:
    """Create a folder for results and check that it is writable, before long work.

    Raises:
        SettingsError: if it is a checkpoint of a run, or an address.
        PromiseError: if the system cannot write there.
    """
    refuse_checkpoints(folder)
    check_writable(folder)


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


def check_run_folder(folder: str | Path) -> None:
    """Check that a training can begin in a folder: it must not hold a model without a run.

    Raises:
        SettingsError: if it holds one, is a checkpoint of a run, or is an address.
    """
    check_place(folder, "output")
    refuse_checkpoints(folder)
    if (Path(folder) / CONFIG_FILE).is_file() and not (Path(folder) / SETTINGS_FILE).is_file():
        raise SettingsError(
            f"-o {folder}: holds a model that was not trained there. Choose another folder; to train it further, give "
            f"it with --init {folder}"
        )
