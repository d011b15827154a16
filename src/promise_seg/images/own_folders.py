"""The names of the files and folders that this program writes, so that it does not read them as images.

``tests/images/test_own_folders.py`` compares these names with those of the files that are really written.
"""

from collections.abc import Collection
from pathlib import Path

PREDICTION_TABLE = "predictions.csv"
PREDICTION_LOG = "predictions.part.jsonl"
"""The log of the images predicted since the table was last written; it is deleted when the command ends."""
PREDICTION_IDENTITY = "model.json"
PREDICTION_COCO = "coco.json"
PREDICTION_OBJECTS = "objects.csv"
PREDICTION_PARQUET = ("predictions.parquet", "objects.parquet")
"""The same tables in Parquet, if they are requested."""
PREDICTION_FAILURES = "failures.csv"
PREDICTION_PARTS = "parts"
"""The folder in which processes that predict parts record which images are done, and which is in progress."""
PREDICTION_FOLDERS = ("masks", "overlays", "objects")
"""The subfolders of a prediction folder: masks and overlays, and a table of objects for each image."""
PREDICTION_RETRIEVED = "retrieved"
"""The subfolder of a prediction folder for data from an archive: images until they are predicted, and notes."""
MERGED = "_merged_masks"
"""The suffix of folders of merged masks, which ``promise data make`` writes next to a manifest and names after it."""
IMPORTED = "_imported_masks"
"""The suffix of folders of masks that ``promise data import`` writes, likewise."""
MASKS_BESIDE_A_MANIFEST = (MERGED, IMPORTED)
_RUN_FILES = ("settings.json", "log.jsonl")


def is_run_or_masks(folder: Path, names: Collection[str]) -> bool:
    """Whether a folder with files of these names is a training run, or holds masks that were merged or imported."""
    return folder.name.endswith(MASKS_BESIDE_A_MANIFEST) or set(_RUN_FILES) <= set(names)


def of_predictions(folder: Path, names: Collection[str], output: Path | None = None) -> frozenset[str]:
    """Return the names that this program wrote into a prediction folder; empty for any other folder.

    Args:
        folder: folder that may also contain images.
        names: names of the files and folders in it.
        output: resolved folder into which predictions are to be written, even if there are none yet.
    """
    signs = {PREDICTION_TABLE, PREDICTION_PARTS, *PREDICTION_FOLDERS}
    is_ours = PREDICTION_IDENTITY in names and not signs.isdisjoint(names)
    if is_ours or folder.resolve() == output:
        files = {PREDICTION_TABLE, PREDICTION_LOG, PREDICTION_IDENTITY, PREDICTION_COCO, PREDICTION_OBJECTS}
        return frozenset(
            {
                *files,
                *PREDICTION_PARQUET,
                PREDICTION_FAILURES,
                PREDICTION_PARTS,
                *PREDICTION_FOLDERS,
                PREDICTION_RETRIEVED,
            }
        )
    return frozenset()
