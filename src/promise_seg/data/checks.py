"""Look at a whole data set before any work begins, and report all its problems at once."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from promise_seg.data.manifest import Row, Split, raise_all
from promise_seg.data.readers import BoolArray, Uint8Array, read_image, read_mask
from promise_seg.errors import ImageError


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class CheckedRow:
    """A row whose files were read once without a complaint."""

    row: Row
    image_sha256: str
    height: int
    width: int
    foreground_pixels: int
    mask_threshold: int | None = None

    def image(self) -> Uint8Array:
        """(H, W, 3) uint8 RGB in the image frame."""
        return read_image(self.row.image)

    def mask(self) -> BoolArray:
        """(H, W) bool in the image frame."""
        return read_mask(self.row.mask, self.mask_threshold)


def check_row(row: Row, mask_threshold: int | None = None) -> CheckedRow:
    """Read both files of a row.

    Raises:
        ImageError: beginning with the row's place in the manifest.
    """
    try:
        image = read_image(row.image)
        mask = read_mask(row.mask, mask_threshold)
    except ImageError as error:
        raise ImageError(f"{row.where}: {error}") from error
    if image.shape[:2] != mask.shape:
        raise ImageError(
            f"{row.where}: {row.image} is {image.shape[1]} x {image.shape[0]} pixels but its mask {row.mask} is "
            f"{mask.shape[1]} x {mask.shape[0]}. Both must have the same size"
        )
    height, width = mask.shape
    return CheckedRow(row, file_sha256(row.image), height, width, int(mask.sum()), mask_threshold)


def check_rows(
    rows: Sequence[Row], mask_threshold: int | None = None, progress: Callable[[], object] = lambda: None
) -> list[CheckedRow]:
    """Check every row.

    Raises:
        ManifestError: with one line for each problem in the whole data set.
    """
    checked, problems = [], []
    for row in rows:
        try:
            checked.append(check_row(row, mask_threshold))
        except ImageError as error:
            problems.append(str(error))
        progress()
    raise_all(problems + leaks(checked))
    return checked


def leaks(rows: Sequence[CheckedRow]) -> list[str]:
    """Train images that also stand in ``val`` or ``test``, by their content whatever their names."""
    seen: dict[str, Row] = {r.image_sha256: r.row for r in rows if r.row.split != Split.TRAIN}
    found = []
    for checked in rows:
        other = seen.get(checked.image_sha256)
        if checked.row.split == Split.TRAIN and other is not None:
            found.append(
                f"{checked.row.where}: the train image {checked.row.image} also stands in {other.split} "
                f"({other.where}). Remove one of the two rows: scores on images that were trained on mean nothing"
            )
    return found


def divided_groups(rows: Sequence[Row]) -> list[str]:
    """Groups with rows in ``train`` and in another split: allowed, but worth a warning."""
    train = {row.group for row in rows if row.split == Split.TRAIN}
    return sorted(train & {row.group for row in rows if row.split != Split.TRAIN})
