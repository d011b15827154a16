"""The choices by which a user's files are read, and kept beside a model so that new images are read the same way."""

from dataclasses import dataclass, replace

from promise_seg.errors import SettingsError
from promise_seg.images.masks import BINARY, LARGEST_LABEL, MaskRule
from promise_seg.images.windows import OWN_WINDOW, Window, parse_window
from promise_seg.vocabulary import Axis, MaskKind

ALL_CLASSES = "all"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files become pictures and masks.

    Args:
        window: how values become grey.
        axis: what volumes are cut across.
        crop_border: whether the black border is cropped away.
        masks: what the values of masks mean, and which is wanted.
    """

    window: Window = OWN_WINDOW
    axis: Axis = Axis.AUTO
    crop_border: bool = False
    masks: MaskRule = BINARY

    def of_class(self, label: int) -> "Reading":
        """The same, for one class of label maps."""
        return replace(self, masks=MaskRule(MaskKind.CLASSES, label))


DEFAULT_READING = Reading()


def parse_classes(text: str) -> list[int] | None:
    """Return the classes that a user names, ``2`` or ``1,2,5``; ``None`` for all.

    Raises:
        SettingsError: if they are not numbers.
    """
    if text == ALL_CLASSES:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= LARGEST_LABEL for part in parts):
        raise SettingsError(
            f"--class {text}: expected whole numbers from 1, as the masks hold them: 2, or 1,2,5, or {ALL_CLASSES}"
        )
    return sorted({int(part) for part in parts})


def make_reading(
    base: Reading | None = None,
    *,
    window: str | None = None,
    axis: str | None = None,
    crop_border: bool | None = None,
    label: str | None = None,
    instances: bool = False,
    mask_threshold: int | None = None,
) -> Reading:
    """A reading from a user's words; what is not given is as in ``base``.

    ``label`` names one class, several as ``1,2,5``, or ``all`` of a label map.

    Raises:
        SettingsError: naming the option that cannot be meant.
    """
    base = base or DEFAULT_READING
    if axis is not None and axis not in tuple(Axis):
        raise SettingsError(f"--axis {axis}: expected {', '.join(Axis)}")
    given = [
        name
        for name, there in (
            ("--class", label is not None),
            ("--instances", instances),
            ("--mask-threshold", mask_threshold is not None),
        )
        if there
    ]
    if len(given) > 1:
        raise SettingsError(f"{' and '.join(given)}: each says what the values of masks mean; give one of them")
    rule = base.masks
    if label is not None:
        wanted = parse_classes(label)
        rule = MaskRule(MaskKind.CLASSES, wanted[0] if wanted is not None and len(wanted) == 1 else None)
    elif instances:
        rule = MaskRule(MaskKind.INSTANCES)
    elif mask_threshold is not None:
        rule = MaskRule(threshold=mask_threshold)
    return Reading(
        window=base.window if window is None else parse_window(window),
        axis=base.axis if axis is None else Axis(axis),
        crop_border=base.crop_border if crop_border is None else crop_border,
        masks=rule,
    )
