"""Conversion of the ``config.json`` of checkpoints that earlier versions wrote.

Version 1 was flat: the fields that are now under ``reading``, ``oracle`` and ``apm`` were at the top level.
"""

from collections.abc import Mapping
from typing import Any

_READING = ("window", "axis", "crop_border", "masks", "label")
_POINTS = ("num_points", "num_foreground")
_OTHERS = (
    "variant", "train_also", "fit", "mask_choice", "postprocessing", "sam", "sam_sha256", "image_size",
    "promise_seg_version",
)  # fmt: skip


def from_version_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a config of version 1 to version 2. Unknown keys are kept, so that validation rejects them."""
    rest = dict(values) | {"format_version": 2}
    points = {name: rest.pop(name) for name in _POINTS if name in rest}
    rest["reading"] = {name: rest.pop(name) for name in _READING if name in rest}
    rest["oracle"] = points
    if rest.get("position_code") is None and rest.get("apm") != "cross":
        rest.pop("position_code", None)
    if rest.get("apm") is not None:
        code = {"position_code": rest.pop("position_code")} if "position_code" in rest else {}
        rest["apm"] = {"kind": rest["apm"]} | points | code
    return rest


def as_version_1(values: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config in the form of version 1, for hashes that must stay the same.

    Fields introduced after version 1 are added if they differ from their defaults.

    Args:
        values: all values of the config, as JSON.
        changed: the values that differ from their defaults, as JSON.
    """
    apm, later = values["apm"] or {}, dict(changed)
    flat = {name: values[name] for name in _OTHERS} | values["reading"] | {"format_version": 1}
    flat |= {"apm": apm.get("kind"), "position_code": apm.get("position_code")}
    flat |= {name: apm.get(name, values["oracle"][name]) for name in _POINTS}
    known = ("kind", "position_code", *_POINTS)
    of_apm = {f"apm_{name}": value for name, value in (later.pop("apm", None) or {}).items() if name not in known}
    for name in ("format_version", "reading", "oracle"):
        later.pop(name, None)
    return later | flat | of_apm
