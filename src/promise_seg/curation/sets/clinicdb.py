"""The video sequences of the frames of CVC-ClinicDB.

Source: the ranges in the converter of the Dataset Ninja catalogue (repository dataset-ninja/cvc-612), which agree with
the sequence names of the 507 frames in this project's ``../shared/data/polyp``.
"""

from bisect import bisect_left

DATASET = "CVC-ClinicDB"

_LAST_FRAMES = (
    25, 50, 67, 78, 103, 126, 151, 177, 199, 205, 227, 252, 277, 297, 317, 342, 363, 383, 408, 428, 447, 466, 478, 503,
    528, 546, 571, 591, 612,
)  # fmt: skip


def sequence_of(frame: str) -> str:
    """Return the name of a frame's sequence, for use as a group; empty if the name is not a frame number, 1 to 612."""
    if not (frame.isascii() and frame.isdigit() and 1 <= int(frame) <= _LAST_FRAMES[-1]):
        return ""
    return f"{DATASET} sequence {bisect_left(_LAST_FRAMES, int(frame)) + 1:02d}"
