"""A small data set of drawn endoscopy scenes."""

from pathlib import Path

from promise_seg.progress import Progress, silent
from promise_seg.scenes.data_set import draw_data_set
from promise_seg.vocabulary import Split

SIZES = {Split.TRAIN: 160, Split.VAL: 40, Split.TEST: 60}
_SIDE = 192
_SEED = 77  # the nano SAM was trained on scenes of another seed


def draw_dataset(folder: Path, progress: Progress = silent) -> Path:
    """Draw images, each with all growths in one mask, unless they exist; return the path of the manifest."""
    return draw_data_set(
        folder, train=SIZES[Split.TRAIN], val=SIZES[Split.VAL], test=SIZES[Split.TEST], side=_SIDE, kinds=("mucosa",),
        seed=_SEED, force=True, progress=progress,
    )  # fmt: skip
