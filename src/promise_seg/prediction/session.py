"""Interactive correction of one image, prompt by prompt, with undo and redo."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy.typing as npt

from promise_seg.arguments import finite_number, whole_number
from promise_seg.arrays import Float32Array
from promise_seg.errors import SettingsError
from promise_seg.prediction.prediction import Prediction, checked_choice
from promise_seg.prediction.user_prompts import UserPrompts, clipped_box, clipped_points, finite_numbers, has_shares
from promise_seg.vocabulary import MaskChoice

if TYPE_CHECKING:
    from promise_seg.prediction.encoded_image import EncodedImage
    from promise_seg.prediction.predictor import Predictor


@dataclass(frozen=True)
class PromptState:
    """The prompts of one step, in the image frame.

    Args:
        points: (x, y, label) of each point; the label is 1 for foreground and 0 for background.
        box_xyxy: indices of the box's first and last pixels, or ``None``.
        mask_input: (h, h) low-resolution logits to start from, or ``None``.
        mask_choice: which of SAM's masks to take; ``None`` for the model's choice.
        is_automatic: whether these are the model's own, unchanged prompts.
    """

    points: tuple[tuple[float, float, int], ...] = ()
    box_xyxy: tuple[float, float, float, float] | None = None
    mask_input: Float32Array | None = None
    mask_choice: MaskChoice | None = None
    is_automatic: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there are no prompts."""
        return not self.points and self.box_xyxy is None and self.mask_input is None

    def as_prompts(self) -> UserPrompts:
        """Return the prompts in the form that predictors accept.

        Raises:
            SettingsError: if coordinates are not finite numbers, or the box has no area.
        """
        points = [point[:2] for point in self.points] or None
        labels = [point[2] for point in self.points] or None
        return UserPrompts(points, labels, self.box_xyxy, self.mask_input)


class Session:
    """An image that is encoded once and corrected prompt by prompt, with a new mask after each change.

    A session starts with the model's own prompts, with the points of all objects if there are several, or without
    prompts if the model has no auto-prompting module. Each change is checked and predicted before it is kept, so an
    invalid change leaves the session as it was. The history holds prompts only, not predictions: undo and redo run the
    decoder again. Sessions are thread-safe: changes are made one after the other.

    >>> import promise_seg
    >>> session = promise_seg.load("runs/polyp").session("frame.png")
    >>> session.add_point(210, 95, 1).mask.shape
    (240, 320)
    >>> session.can_undo, session.can_redo
    (True, False)
    """

    def __init__(self, predictor: "Predictor", encoded: "EncodedImage") -> None:
        self._predictor, self._encoded = predictor, encoded
        self._lock = threading.RLock()
        beginning, self._prediction = self._begin()
        self._history = [beginning]
        self._at = 0

    @property
    def prompts(self) -> PromptState:
        """The current prompts, in the image frame."""
        return self._history[self._at]

    @property
    def prediction(self) -> Prediction | None:
        """The prediction for the current prompts; ``None`` if there are none."""
        return self._prediction

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a change to redo."""
        return self._at < len(self._history) - 1

    def add_point(self, x: float, y: float, label: int = 1) -> Prediction:
        """Add a point at (x, y), pixel indices in the image frame: 1 for foreground, 0 for background.

        Raises:
            SettingsError: if the point lies outside the image, or the label is neither 0 nor 1.
        """
        point = (finite_number(x, "x"), finite_number(y, "y"), whole_number(label, "label"))
        return self._prompted(lambda now: replace(now, points=(*now.points, point)))

    def move_point(self, number: int, x: float, y: float) -> Prediction:
        """Move a point; points are counted from 0 in the order of :attr:`prompts`.

        Raises:
            SettingsError: if there is no such point, or its new position is outside the image.
        """
        place = finite_number(x, "x"), finite_number(y, "y")
        return self._prompted(lambda now: _with_point(now, number, lambda old: (*place, old[2])))

    def flip_point(self, number: int) -> Prediction:
        """Turn a foreground point into a background point, or vice versa.

        Raises:
            SettingsError: if there is no such point.
        """
        return self._prompted(lambda now: _with_point(now, number, lambda old: (old[0], old[1], 1 - old[2])))

    def remove_point(self, number: int) -> Prediction | None:
        """Remove a point; return ``None`` if no prompts are left.

        Raises:
            SettingsError: if there is no such point.
        """

        def without(now: PromptState) -> PromptState:
            at = _checked_point(now, number)
            return replace(now, points=now.points[:at] + now.points[at + 1 :])

        return self._change(without)

    def set_box(self, left: float, top: float, right: float, bottom: float) -> Prediction:
        """Set or replace the box, given by the indices of its first and last pixels.

        Raises:
            SettingsError: if the box has no area inside the image.
        """
        box = (
            finite_number(left, "left"), finite_number(top, "top"), finite_number(right, "right"),
            finite_number(bottom, "bottom"),
        )  # fmt: skip
        return self._prompted(lambda now: replace(now, box_xyxy=box))

    def remove_box(self) -> Prediction | None:
        """Remove the box; return ``None`` if no prompts are left."""
        return self._change(lambda now: replace(now, box_xyxy=None))

    def set_mask(self, mask_input: npt.ArrayLike | None) -> Prediction | None:
        """Set the mask prompt: (h, h) low-resolution logits, such as ``mask_logits``; ``None`` removes it.

        Raises:
            SettingsError: if the mask has another shape, or its values are not logits.
        """
        logits = None if mask_input is None else finite_numbers(mask_input, "mask_input")
        return self._change(lambda now: replace(now, mask_input=logits))

    def choose(self, mask_choice: MaskChoice | str | None) -> Prediction | None:
        """Choose one of SAM's masks: 0, 1, 2 or score; ``None`` for the model's own choice.

        Raises:
            SettingsError: if the choice is unknown.
        """
        choice = checked_choice(mask_choice)
        return self._change(lambda now: replace(now, mask_choice=choice), keeps_automatic=True)

    def clear(self) -> None:
        """Remove all prompts."""
        self._change(lambda now: PromptState(mask_choice=now.mask_choice))

    def reset(self) -> Prediction | None:
        """Return to the model's own prompts, as a new step that can be undone."""
        return self._change(lambda _: self._history[0], keeps_automatic=True)

    def undo(self) -> Prediction | None:
        """Undo the last change, if any, and return the prediction before it."""
        return self._go(-1)

    def redo(self) -> Prediction | None:
        """Redo the last undone change, if any, and return its prediction."""
        return self._go(1)

    def _begin(self) -> tuple[PromptState, Prediction | None]:
        if self._predictor.model.apm is None:
            return PromptState(), None
        prediction, geometry = self._predictor.predict(self._encoded), self._encoded.geometry
        inside = clipped_points(prediction.points_xy, geometry)  # the model may propose points in the padding
        pairs = zip(inside.tolist(), prediction.point_labels.tolist(), strict=True)
        points = tuple((float(x), float(y), int(label)) for (x, y), label in pairs)
        box = prediction.box_xyxy
        box = None if box is None or clipped_box(box, geometry) is None or has_shares(box) else box
        corners = None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        return PromptState(points=points, box_xyxy=corners, is_automatic=True), prediction

    def _prompted(self, change: Callable[[PromptState], PromptState]) -> Prediction:
        """Make a change after which there is at least one prompt."""
        prediction = self._change(change)
        if prediction is None:
            raise RuntimeError("a prompt was set, so there must be a prediction")
        return prediction

    def _change(
        self, change: Callable[[PromptState], PromptState], *, keeps_automatic: bool = False
    ) -> Prediction | None:
        """Append the changed prompts to the history as a new step, and drop all steps that could be redone."""
        with self._lock:
            new = change(self.prompts)
            if not keeps_automatic:
                new = replace(new, is_automatic=False)
            self._prediction = self._predict(new)
            self._history[self._at + 1 :] = [new]
            self._at += 1
            return self._prediction

    def _go(self, steps: int) -> Prediction | None:
        """Move backwards or forwards in the history, up to its ends."""
        with self._lock:
            at = min(max(0, self._at + steps), len(self._history) - 1)
            if at != self._at:
                self._prediction = self._predict(self._history[at])
                self._at = at
            return self._prediction

    def _predict(self, state: PromptState) -> Prediction | None:
        if state.is_empty:
            return None
        prompts = UserPrompts() if state.is_automatic else state.as_prompts()
        return self._predictor.predict_sets(self._encoded, [prompts], mask_choice=state.mask_choice)[0]


def _checked_point(state: PromptState, number: int) -> int:
    number = whole_number(number, "number of the point")
    if not 0 <= number < len(state.points):
        raise SettingsError(f"there is no point {number}; there are {len(state.points)}, counted from 0")
    return number


def _with_point(
    state: PromptState, number: int, change: Callable[[tuple[float, float, int]], tuple[float, float, int]]
) -> PromptState:
    """Return the prompts with one point changed."""
    at, points = _checked_point(state, number), list(state.points)
    points[at] = change(points[at])
    return replace(state, points=tuple(points))
