"""The names by which this program knows what it wrote itself, so that it does not read it as images.

``tests/images/test_own_folders.py`` compares them with what is really written.
"""

from collections.abc import Collection
from pathlib import Path

PREDICTION_TABLE = "predictions.csv"
PREDICTION_LOG = "predictions.part.jsonl"
"""A log of what was predicted since the table was written; it is gone when the command has ended."""
PREDICTION_IDENTITY = "model.json"
PREDICTION_COCO = "coco.json"
PREDICTION_OBJECTS = "objects.csv"
PREDICTION_PARQUET = ("predictions.parquet", "objects.parquet")
"""The same tables in Parquet, where they are wanted."""
PREDICTION_FAILURES = "failures.csv"
PREDICTION_PARTS = "parts"
"""The folder of what the processes that predict parts know: which image was predicted, and which is."""
PREDICTION_FOLDERS = ("masks", "overlays", "objects")
"""The folders in a folder of predictions: of pictures, and of a table of objects for each image."""
PREDICTION_RETRIEVED = "retrieved"
"""The folder in a folder of predictions for what came from an archive: images until they are predicted, and notes."""
MERGED = "_merged_masks"
"""The ending of folders of merged masks, which ``promise data make`` writes next to a manifest and names after it."""
IMPORTED = "_imported_masks"
"""The same of the masks that ``promise data import`` writes."""
MASKS_BESIDE_A_MANIFEST = (MERGED, IMPORTED)
_RUN_FILES = ("settings.json", "log.jsonl")


def is_run_or_masks(folder: Path, names: Collection[str]) -> bool:
    """Whether a folder with files of these names is a training run, or holds masks that were merged or imported."""
    return folder.name.endswith(MASKS_BESIDE_A_MANIFEST) or set(_RUN_FILES) <= set(names)


def of_predictions(folder: Path, names: Collection[str], output: Path | None = None) -> frozenset[str]:
    """Return the names of what this program wrote into a folder of predictions; of any other folder nothing.

    Args:
        folder: it may hold images, too.
        names: of the files and folders in it.
        output: the resolved folder into which predictions are to be written, even if there are none yet.
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
