"""Predict a whole volume as one mask, with intermediate data on disk."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.formats.source import Source
from promise_seg.images.reading import Reading
from promise_seg.prediction.cuts import OtherCut, check_axes, other_cuts, parse_axes
from promise_seg.prediction.prediction import Prediction
from promise_seg.prediction.reading import Slice
from promise_seg.progress import Progress, Stage, counted, silent
from promise_seg.rules.volume_rule import EACH_SLICE, VolumeRule, rule_for
from promise_seg.vocabulary import Axis, Slices
from promise_seg.volumes.across import Cut, MeanProbs
from promise_seg.volumes.collecting import CollectedSlices
from promise_seg.volumes.joining import JoinedVolume
from promise_seg.volumes.packed import PackedMasks
from promise_seg.volumes.stack import Spacing, Stack
from promise_seg.volumes.whole_slices import IN_TILES, IN_TIME, asks_to_join, frames_are_whole, with_first

if TYPE_CHECKING:
    from promise_seg.prediction.predictor import Predictor

AnyVolume = str | Path | Source | Uint8Array
"""A path, an opened volume, or slices (N, H, W), (N, H, W, 3) or (N, H, W, 4) uint8."""


class Volume:
    """The prediction of a volume.

    Only the masks are kept in memory, with eight voxels per byte; probabilities are on disk, in low resolution.
    """

    def __init__(
        self,
        predictor: "Predictor",
        opened: Source | Uint8Array,
        joined: "JoinedVolume | _SlicesInTiles",
        stack: Stack,
        more: Sequence[str] = (),
    ) -> None:
        self._predictor, self._opened, self._joined, self._stack = predictor, opened, joined, stack
        self._more = tuple(more)

    def __len__(self) -> int:
        return len(self._joined)

    @property
    def source(self) -> Source | None:
        """The opened file; ``None`` if pixels were given."""
        return self._opened if isinstance(self._opened, Source) else None

    @property
    def spacing(self) -> Spacing | None:
        """The distances between slices, rows and columns in mm, if known."""
        return self._stack.spacing

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each step of the model's rule for volumes that could not be applied."""
        name = "volume" if self.source is None else str(self.source.path)
        return tuple(f"{name}: {words}" for words in (*self._joined.notes(), *self._more))

    @property
    def mask(self) -> BoolArray:
        """The mask, bool, in the shape and axis order of the array in the file.

        Shape: (I, J, K) for files with patient coordinates, such as NIfTI, NRRD and MetaImage; otherwise (N, H, W).
        """
        stack = np.stack([self._joined.mask(number) for number in range(len(self))])
        frame = None if self.source is None else self.source.frame
        return stack if frame is None else frame.from_slices(stack)

    @property
    def slices(self) -> Sequence[Prediction]:
        """The prediction of each slice, with the mask and probabilities that it has in the volume.

        Prompts and candidates are those of the slice alone, and are computed each time a slice is accessed.
        """
        return _Slices(self)

    def prediction(self, number: int) -> Prediction:
        """Return the prediction of one slice; see :attr:`slices`."""
        own = _by_itself(self._predictor, self._opened, number)
        if isinstance(self._joined, _SlicesInTiles):
            return own
        return replace(own, mask=self._joined.mask(number), mask_probs=self._joined.probs(number))


class _SlicesInTiles:
    """The masks of slices that are larger than a tile: each is predicted separately, tile by tile."""

    def __init__(
        self, predictor: "Predictor", opened: Source | Uint8Array, shape: tuple[int, int], progress: Progress
    ) -> None:
        self._masks = PackedMasks([shape] * len(opened))
        for number in counted(range(len(opened)), progress, "predicting"):
            self._masks[number] = _by_itself(predictor, opened, number).mask

    def __len__(self) -> int:
        return len(self._masks)

    def mask(self, number: int) -> BoolArray:
        return self._masks[number]

    def notes(self) -> tuple[str, ...]:
        return ()


class _Slices(Sequence[Prediction]):
    """A sequence of predictions that are computed when they are accessed."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def __len__(self) -> int:
        return len(self._volume)

    @overload
    def __getitem__(self, number: int) -> Prediction: ...

    @overload
    def __getitem__(self, number: slice) -> list[Prediction]: ...

    def __getitem__(self, number: int | slice) -> Prediction | list[Prediction]:
        if isinstance(number, slice):
            return [self._volume.prediction(one) for one in range(len(self))[number]]
        return self._volume.prediction(range(len(self))[number])

    def __iter__(self) -> Iterator[Prediction]:
        return (self._volume.prediction(number) for number in range(len(self)))


def predict_volume(
    predictor: "Predictor",
    volume: AnyVolume,
    *,
    slices: str = Slices.AUTO,
    spacing: Sequence[float] | None = None,
    axes: str | Sequence[str] | None = None,
    progress: Progress = silent,
) -> Volume:
    """Predict every slice of a volume with the model's own prompts, and combine the slices.

    Only one slice is in memory at a time.

    Args:
        predictor: predictor of the model.
        volume: volume to predict.
        slices: how slices are combined.
        spacing: distances between slices, rows and columns in mm; by default as stated in the file.
        axes: axes to cut across, see :meth:`~promise_seg.prediction.predictor.Predictor.predict_volume`.
        progress: called after each slice.

    Raises:
        ImageError: if the volume cannot be read, or slices that are larger than a tile are to be combined.
        SettingsError: if the model has no APM, or an option is invalid.
    """
    way = checked_slices(slices)
    rule = rule_for(predictor.model.config.volumes, way)
    reading, opened = predictor.model.config.reading, volume
    if isinstance(opened, str | Path):
        opened = reading.open(opened)
    elif isinstance(opened, Source):
        opened = reading.opened(opened)
    else:
        opened = _pixels(opened)
    stack = _stack_of(opened, spacing)
    predictor.check_proposes()
    several, notes = parse_axes(axes), list[str]()
    if several:
        _check_cut(opened, reading, several, spacing)
    if isinstance(opened, Source) and opened.is_in_time:
        rule, notes = EACH_SLICE, [IN_TIME] if asks_to_join(way) else []
        way = Slices.EACH
    first, frames = with_first(frame_of(predictor, opened, number) for number in range(len(opened)))
    name = opened.path if isinstance(opened, Source) else "a volume in memory"
    if not frames_are_whole(reading, first, way, name):
        shape = first.geometry.height, first.geometry.width
        in_tiles = _SlicesInTiles(predictor, opened, shape, progress)
        return Volume(predictor, opened, in_tiles, stack, [*notes, IN_TILES] if rule.changes else notes)
    collected = CollectedSlices(predictor.model, stack, keeps_features=rule.slices == Slices.AGREE)
    tick = Stage(progress, "predicting", len(opened))
    for framed in frames:
        encoded = predictor.encode_framed(framed)
        collected.add(encoded.features, encoded.geometry)
        tick()
    post, probs = predictor.model.config.postprocessing, None
    if several and isinstance(opened, Source) and opened.frame is not None:
        cuts = [_collected(predictor, cut, rule, progress) for cut in other_cuts(opened, reading, several)]
        probs = MeanProbs(Cut(collected, opened.frame), cuts, rule, post.threshold)
    return Volume(predictor, opened, JoinedVolume(collected, rule, post, probs=probs), stack, notes)


def _check_cut(
    opened: Source | Uint8Array, reading: Reading, axes: Sequence[Axis], spacing: Sequence[float] | None
) -> None:
    """Check that a volume can be cut across several axes.

    Raises:
        ImageError: if its position in the patient is unknown, or it cannot be cut across one of the axes.
        SettingsError: if ``spacing`` is given, which would hold for its own slices only.
    """
    if not isinstance(opened, Source):
        raise ImageError(
            f"axes {','.join(axes)}: slices in memory do not say how the patient lies in them. Give the path of the "
            "volume's file, or leave axes out"
        )
    if spacing is not None:
        raise SettingsError("spacing: with axes, distances are those of the file. Leave one of them out")
    check_axes(opened, reading, axes)


def _collected(predictor: "Predictor", cut: OtherCut, rule: VolumeRule, progress: Progress) -> Cut:
    """Encode and predict all slices of a volume that is cut across another axis."""
    keeps = rule.slices == Slices.AGREE
    collected = CollectedSlices(predictor.model, Stack.of(cut.source), keeps_features=keeps)
    for number in counted(range(len(cut)), progress, f"predicting {cut.reading.axis}"):
        encoded = predictor.encode_framed(cut.framed(number, predictor.model))
        collected.add(encoded.features, encoded.geometry)
    return Cut(collected, cut.frame)


def _by_itself(predictor: "Predictor", opened: Source | Uint8Array, number: int) -> Prediction:
    """Return the prediction of a single slice, tile by tile if it is larger than a tile."""
    return predictor.predict(Slice(opened, number) if isinstance(opened, Source) else opened[number])


def checked_slices(slices: str) -> Slices:
    """Convert the name of how slices are combined.

    Raises:
        SettingsError: if the name is unknown.
    """
    if str(slices) not in tuple(Slices):
        raise SettingsError(f"slices {slices!r}: expected {', '.join(Slices)}")
    return Slices(str(slices))


def frame_of(predictor: "Predictor", opened: Source | Uint8Array, number: int) -> Any:
    """Read a slice and map it to the model frame."""
    return predictor.frame(opened, number) if isinstance(opened, Source) else predictor.frame(opened[number])


def _pixels(volume: object) -> Uint8Array:
    array = np.asarray(volume)
    fits = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (3, 4))
    if array.dtype != np.uint8 or not fits or not array.size:
        raise ImageError(
            "a volume as an array must be uint8 of shape (N, H, W), (N, H, W, 3) or (N, H, W, 4) with at least one "
            f"voxel, got {array.dtype} {array.shape}. Give the path of its file, which is read as in training, or "
            "scale it to 8 bits"
        )
    if array.ndim == 3 and array.shape[-1] in (3, 4) and array.shape[1] > array.shape[2]:
        raise ImageError(
            f"a volume as an array: {array.shape} is the shape of one picture (H, W, {array.shape[-1]}), and expected "
            "are slices (N, H, W) or (N, H, W, 3). Use predict for a picture, or give picture[None]"
        )
    return array


def _stack_of(opened: Source | Uint8Array, spacing: Sequence[float] | None) -> Stack:
    if spacing is not None and not _are_three_distances(spacing):
        raise SettingsError(
            f"spacing {spacing!r}: expected three numbers above 0, the distances between slices, rows and columns in mm"
        )
    if isinstance(opened, Source):
        return Stack.of(opened, spacing)
    return Stack.given(len(opened), spacing)


def _are_three_distances(values: Sequence[float]) -> bool:
    try:
        numbers = [float(value) for value in values]
        return len(numbers) == 3 and all(number > 0 and math.isfinite(number) for number in numbers)
    except (TypeError, ValueError):
        return False
