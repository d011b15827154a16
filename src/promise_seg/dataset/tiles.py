"""Tiles of large images as separate rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from promise_seg.arrays import Array
from promise_seg.dataset.checks import CheckedRow, count_classes
from promise_seg.dataset.mask_hashes import stored_sha256, values_sha256
from promise_seg.images.geometry import Box
from promise_seg.images.masks import mask_of
from promise_seg.vocabulary import MaskKind, Split


def is_divided(row: CheckedRow) -> bool:
    """Whether the image of a row is larger than a tile and is processed tile by tile."""
    tiles = row.reading.tiles
    return tiles is not None and row.tile is None and tiles.divides(row.kept)


def tile_grid(row: CheckedRow) -> list[list[Box]]:
    """Return the tiles of a row's image, from top to bottom and, within each list, from left to right.

    Raises:
        ValueError: if the row is read without tiles.
    """
    if row.reading.tiles is None:
        raise ValueError("the row is read without tiles")
    return row.reading.tiles.grid(row.kept)


def tile_of(row: CheckedRow, box: Box) -> CheckedRow:
    """Return a tile of a row as a separate row; its mask statistics are still those of the whole image."""
    return replace(row, tile=box, height=box.bottom - box.top, width=box.right - box.left, crop=None, notes=())


def tile_rows(row: CheckedRow) -> list[CheckedRow]:
    """Return a row for each tile of a row, or the row itself if its image is not larger than a tile."""
    if not is_divided(row):
        return [row]
    labels = row.labels()
    return [_with_truth(tile_of(row, box), labels) for boxes in tile_grid(row) for box in boxes]


def _with_truth(tile: CheckedRow, labels: Array) -> CheckedRow:
    """Return a tile with the statistics of its own mask; ``labels`` (H, W) are those of the whole image."""
    assert tile.tile is not None
    part = np.ascontiguousarray(labels[tile.tile.top : tile.tile.bottom, tile.tile.left : tile.tile.right])
    found = mask_of(part, tile.reading.mask_rule, tile.row.mask)
    return replace(
        tile,
        foreground_pixels=int(np.count_nonzero(found)),
        class_pixels=count_classes(part) if tile.reading.masks == MaskKind.CLASSES else (),
        highest_label=float(part.max()),
        labels_sha256=stored_sha256(part),
        values_sha256=values_sha256(part),
    )


def rows_to_learn(rows: Sequence[CheckedRow]) -> list[CheckedRow]:
    """Replace train and val rows of large images by their tiles; test rows stay as they are.

    At most as many empty tiles as tiles with foreground are kept per image (at least one), spread evenly, so that
    sparse objects are learned too. Rows that are tiles already, and images not larger than a tile, stay as they are.
    """
    found: list[CheckedRow] = []
    for row in rows:
        if row.row.split == Split.TEST or not is_divided(row):
            found.append(row)
            continue
        tiles = tile_rows(row)
        empty = [tile for tile in tiles if not tile.foreground_pixels]
        most = max(1, len(tiles) - len(empty))
        chosen = np.linspace(0, len(empty) - 1, min(most, len(empty))).round().astype(int).tolist()
        kept = {id(empty[index]) for index in chosen}
        found += [tile for tile in tiles if tile.foreground_pixels or id(tile) in kept]
    return found
