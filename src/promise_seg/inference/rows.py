"""Decode the masks of rows with a ground truth, in batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from promise_seg.arrays import Uint16Array
from promise_seg.dataset.checks import CheckedRow
from promise_seg.dataset.tiles import is_divided, tile_grid, tile_of
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.images.cut_masks import CutMask
from promise_seg.images.geometry import Box
from promise_seg.images.masks import instances_of
from promise_seg.images.tiles import NO_TILE
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.inference.masks import Masks, decode_masks
from promise_seg.inference.prompting import PromptPlan, check_prompts, make_prompts, prompts_for_objects
from promise_seg.inference.tiled import TiledMasks
from promise_seg.instances.finding import find_instances
from promise_seg.instances.stitching import Stitcher
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskKind, PromptSource, Protocol

_OBJECTS_AT_ONCE = 32


@dataclass(frozen=True)
class DecodedRow:
    """All masks of one row, and the prompts that they came from.

    ``objects`` are the K masks that were prompted for, if each was prompted separately; otherwise there is one set of
    prompts for all of them. ``prompts`` are in the model frame, for this image alone; ``None`` for an image that
    is processed tile by tile. ``own_instances`` finds the separate objects of an image whose ground truth is an
    instance map, with the model's own prompts, and returns their instance map (H, W).
    """

    sample: Sample
    masks: Masks | TiledMasks
    objects: tuple[CutMask, ...] | None = None
    prompts: Prompts | None = None
    own_instances: Callable[[], Uint16Array] | None = None

    @property
    def tile_side(self) -> int | None:
        """The side of the image's tiles, in pixels; ``None`` if it was processed as a whole."""
        tiles = self.sample.checked.reading.tiles
        return None if tiles is None or not is_divided(self.sample.checked) else tiles.side


@torch.no_grad()
def decode_rows(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    plan: PromptPlan,
    store: FeatureStore | None = None,
    batch_size: int = 16,
) -> Iterator[DecodedRow]:
    """Decode all masks of each row, in the order of the rows.

    Args:
        model: a model of any variant; it is put into evaluation mode.
        rows: the checked rows.
        plan: the source of prompts.
        store: the feature store; if ``None``, features are encoded and discarded.
        batch_size: number of rows that are decoded at once.

    Raises:
        SettingsError: for own prompts of a model without an APM, or other prompts for an image that is divided into
            tiles.
    """
    check_prompts(model, plan.prompts)
    check_tiled_rows(rows, plan)
    model.eval()
    stream = plan.stream()
    for part in _batches(rows, batch_size):
        if is_divided(part[0]):
            yield _decode_tiles(model, part[0], store)
            continue
        samples = [Sample.of(row, model.sam, model.config.fit) for row in part]
        features = model_features(samples, model, store)
        if plan.prompts_objects(samples[0].checked):
            for number, sample in enumerate(samples):
                rng = stream or plan.rng_of(sample)
                yield _decode_objects(model, sample, features[number : number + 1], plan, rng)
            continue
        prompts = make_prompts(model, features, samples, plan, stream)
        decoded = decode_masks(model, features, prompts, [sample.geometry for sample in samples])
        for number, (sample, masks) in enumerate(zip(samples, decoded, strict=True)):
            own = None
            if sample.checked.reading.masks == MaskKind.INSTANCES and _has_map(prompts):
                own = partial(_map_of, model, features[number : number + 1], sample)
            yield DecodedRow(sample, masks, prompts=prompts.images(number, number + 1), own_instances=own)


def check_tiled_rows(rows: Sequence[CheckedRow], plan: PromptPlan) -> None:
    """Check that images that are divided into tiles are prompted by the model itself.

    Raises:
        SettingsError: naming the first such image, if the prompts are others, or the protocol is not our own.
    """
    if plan.prompts == PromptSource.APM and plan.protocol == Protocol.OWN:
        return
    if (row := next(filter(is_divided, rows), None)) is not None:
        raise SettingsError(
            f"{row.name}: {row.width} x {row.height} pixels, which are seen in tiles: only the model's own prompts are "
            f"made for each tile (--prompts {PromptSource.APM}, --protocol {Protocol.OWN}). Give --tile {NO_TILE} to "
            "prompt the whole image"
        )


def _batches(rows: Sequence[CheckedRow], size: int) -> Iterator[list[CheckedRow]]:
    """Yield batches of rows in order; a row that is processed tile by tile is a batch of its own."""
    batch: list[CheckedRow] = []
    for row in rows:
        if batch and (len(batch) == size or is_divided(row)):
            yield batch
            batch = []
        if is_divided(row):
            yield [row]
        else:
            batch.append(row)
    if batch:
        yield batch


def _map_of(model: PromiseModel, features: Features, sample: Sample) -> Uint16Array:
    return find_instances(model, features, sample.geometry, name=sample.checked.name).labels


def _decode_tiles(model: PromiseModel, row: CheckedRow, store: FeatureStore | None) -> DecodedRow:
    """Decode the tiles of one row, one after the other, with the model's own prompts in each."""
    grid, masks, has_map = tile_grid(row), {}, False
    at_once = _StitchedRow(model, row) if row.reading.masks == MaskKind.INSTANCES and store is None else None
    for number, boxes in enumerate(grid):
        for box in boxes:
            sample = Sample.of(tile_of(row, box), model.sam, model.config.fit)
            features = model_features([sample], model, store)
            prompts = model.propose(features)
            has_map = _has_map(prompts)
            (found,) = decode_masks(model, features, prompts, [sample.geometry])
            masks[box] = found.to("cpu")
            if has_map and at_once is not None:
                at_once.add(box, sample, features)
        if at_once is not None:
            at_once.end_row(number)
    own = None
    if row.reading.masks == MaskKind.INSTANCES and has_map:
        own = partial(_map_of_tiles, model, row, store) if at_once is None else at_once.finished
    tiles = row.reading.tiles
    overlap = 0 if tiles is None else tiles.overlap
    tiled = TiledMasks(masks, grid, overlap, row.height, row.width, model.device)
    return DecodedRow(Sample.of(row, model.sam, model.config.fit), tiled, own_instances=own)


class _StitchedRow:
    """The separate objects of a row, stitched tile by tile.

    Without a store, they are found while the masks are decoded, because each tile would be encoded again later.
    """

    def __init__(self, model: PromiseModel, row: CheckedRow) -> None:
        self._model, self._grid = model, tile_grid(row)
        self._labels = np.zeros((row.height, row.width), np.uint16)
        self._stitcher = Stitcher(self._labels, row.kept, name=row.name)
        self._is_finished = False

    def add(self, box: Box, sample: Sample, features: Features) -> None:
        """Find the objects of the next tile."""
        found = find_instances(self._model, features, sample.geometry, name=sample.checked.name)
        self._stitcher.add(box, found, sample.checked.image())

    def end_row(self, number: int) -> None:
        """Stitch the objects that are complete after a row of tiles."""
        below = self._grid[number + 1] if number + 1 < len(self._grid) else None
        self._stitcher.end_row(None if below is None else below[0].top)

    def finished(self) -> Uint16Array:
        """Return the instance map (H, W)."""
        if not self._is_finished:  # finishing renumbers the objects
            self._stitcher.finished()
            self._is_finished = True
        return self._labels


def _map_of_tiles(model: PromiseModel, row: CheckedRow, store: FeatureStore | None) -> Uint16Array:
    """Find the separate objects of a row tile by tile, and return their instance map (H, W)."""
    stitched = _StitchedRow(model, row)
    for number, boxes in enumerate(tile_grid(row)):
        for box in boxes:
            sample = Sample.of(tile_of(row, box), model.sam, model.config.fit)
            stitched.add(box, sample, model_features([sample], model, store))
        stitched.end_row(number)
    return stitched.finished()


def _has_map(prompts: Prompts) -> bool:
    """Whether these are the model's own prompts with a saliency map."""
    return isinstance(prompts, Proposal) and prompts.saliency_logits is not None


def _decode_objects(
    model: PromiseModel, sample: Sample, features: Features, plan: PromptPlan, rng: np.random.Generator
) -> DecodedRow:
    """Decode each object of one image; an image without objects is prompted once, with an empty mask."""
    objects = tuple(CutMask.of(mask) for mask in instances_of(sample.checked.labels()))
    nothing = CutMask.of(np.zeros((sample.checked.height, sample.checked.width), bool))
    prompts = prompts_for_objects(sample, objects or [nothing], plan, rng)
    parts = [
        decode_masks(model, features, prompts.sets(start, start + _OBJECTS_AT_ONCE), [sample.geometry])[0]
        for start in range(0, prompts.per_image, _OBJECTS_AT_ONCE)
    ]
    mask_logits, iou = (torch.cat([getattr(part, name) for part in parts]) for name in ("mask_logits", "iou"))
    learned = [part.learned_iou for part in parts if part.learned_iou is not None]
    masks = Masks(mask_logits, iou, sample.geometry, torch.cat(learned) if learned else None)
    return DecodedRow(sample, masks, objects or None, prompts)
