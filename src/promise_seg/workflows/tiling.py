"""The tiles of a training: as the user gives them, or chosen from the objects of the train rows."""

from pathlib import Path

import torch
from pydantic import ValidationError

from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.tiles import is_divided
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.images.reading import Reading
from promise_seg.images.tiles import AUTO_TILE, NO_TILE
from promise_seg.learning.tile_sizes import ObjectLengths, fitting_tiling, object_lengths
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import load_sam
from promise_seg.validation import faults_of
from promise_seg.vocabulary import Protocol
from promise_seg.workflows.begun_run import image_size_of, note_of_run
from promise_seg.workflows.noting import Note


def tiles_to_learn(
    rows: Dataset,
    sam: Backbone | str,
    device: torch.device,
    image_size: int | None,
    output: str | Path | None,
    protocol: str,
    note: Note,
    loaded: Backbone | None = None,
) -> tuple[Dataset, Backbone | str]:
    """Return rows as :func:`with_training_tiles` does, and the SAM, which is loaded if tiles were chosen here.

    Args:
        rows: the data set, with val rows.
        sam: the SAM, or the name of it.
        device: the device for the SAM.
        image_size: side of its input, if it is given, in pixels.
        output: folder of the run.
        protocol: ``reference``, the published protocol, does not support tiles.
        note: called with what was chosen, and why.
        loaded: the SAM of that name and size, if it was loaded before.

    Raises:
        SettingsError: if tiles are not possible, or smaller than the objects.
    """
    if isinstance(sam, Backbone):
        loaded = sam
    elif not rows.options.chooses_tiles:
        loaded = None
    elif loaded is None:
        loaded = load_sam(sam, device, image_size_of(output, image_size))
    rows = with_training_tiles(rows, loaded.image_size if loaded is not None else 0, output, protocol, note)
    return rows, sam if loaded is None or rows.reading.tiles is None else loaded


def with_training_tiles(
    rows: Dataset, input_side: int, output: str | Path | None, protocol: str, note: Note
) -> Dataset:
    """Return rows to learn from, with a row for each tile of large train and val images if tiles are used.

    Args:
        rows: the data set, with val rows.
        input_side: side of SAM's input, in pixels.
        output: folder of the run; a resumed run keeps its tiles.
        protocol: ``reference``, the published protocol, does not support tiles.
        note: called with what was chosen, and why.

    Raises:
        CheckpointError: if the record of the run to resume is damaged.
        SettingsError: if tiles are not possible, or smaller than the objects.
    """
    if not rows.options.chooses_tiles and rows.reading.tiles is None:
        return rows
    if protocol == Protocol.REFERENCE:
        raise SettingsError(
            f"--protocol {Protocol.REFERENCE}: sees whole images, as the published procedure does. Leave --tile out, "
            f"or give --protocol {Protocol.OWN}"
        )
    if rows.options.chooses_tiles:
        rows = _begun(rows, output) or _chosen(rows, input_side, note)
    if rows.reading.tiles is None:
        return rows
    _check_size(rows, object_lengths(rows.train), note)
    return rows.to_learn()


def _begun(rows: Dataset, output: str | Path | None) -> Dataset | None:
    """Return the rows with the tiles of the run to resume, or None if there is none."""
    noted = note_of_run(output)
    if noted is None:
        return None
    try:
        return rows.with_tiles(Reading.model_validate(noted["reading"]).tiles)
    except ValidationError as error:
        raise CheckpointError(
            f"{output}: the record of its run is damaged: {faults_of(error, Reading)}. Choose another -o folder"
        ) from error


def _chosen(rows: Dataset, input_side: int, note: Note) -> Dataset:
    lengths = object_lengths(rows.train)
    if lengths is None:
        note(f"--tile {AUTO_TILE}: no tiles, as the train rows have no objects")
        return rows.with_tiles(None)
    tiles = fitting_tiling(lengths, input_side, rows.options.overlap)
    found = rows.with_tiles(tiles)
    of_objects = f"a quarter of the objects is no larger than {lengths.small:.0f} px"
    if not any(is_divided(row) for row in found.train):
        reason = f"{of_objects}, and SAM sees {input_side} px"
        if tiles.side > fitting_tiling(lengths, input_side).side:
            reason = f"--overlap {tiles.overlap} needs tiles of at least twice as much. Give a smaller one"
        note(f"--tile {AUTO_TILE}: no tiles, as no train image is larger than the {tiles.side} px that would fit: "
             f"{reason}")  # fmt: skip
        return rows.with_tiles(None)
    note(
        f"{' '.join(tiles.arguments)}: large images are seen in tiles, as {of_objects}, which are "
        f"{lengths.small * input_side / tiles.side:.0f} px of SAM's {input_side} px then. Give --tile {NO_TILE} for "
        "whole images"
    )
    return found


def _check_size(rows: Dataset, lengths: ObjectLengths | None, note: Note) -> None:
    """Refuse tiles smaller than half of the objects, and add a note if 5 % of the objects are larger than a tile."""
    tiles = rows.reading.tiles
    if tiles is None or lengths is None or not any(is_divided(row) for row in rows.train):
        return
    if lengths.usual > tiles.side:
        raise SettingsError(
            f"--tile {tiles.side}: half of the objects of the train rows are longer, {lengths.usual:.0f} px and more, "
            f"so that no tile shows a whole one. Give --tile {AUTO_TILE}, {NO_TILE} or at least {lengths.long:.0f}"
        )
    if lengths.long > tiles.side:
        note(
            f"--tile {tiles.side}: one in twenty objects of the train rows is longer than {lengths.long:.0f} px, and "
            "so than a tile: its parts are joined across the seams"
        )
