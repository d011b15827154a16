"""Conversion of the ``config.json`` of checkpoints, and of the settings of runs, that earlier versions wrote.

Version 1 of ``config.json`` was flat: the fields that are now under ``reading``, ``oracle`` and ``apm`` were at the top
level. Settings have no version: each was added with a value that reproduces the training before it.
"""

from collections.abc import Mapping
from typing import Any

_READING = ("window", "axis", "crop_border", "masks", "label")
_POINTS = ("num_points", "num_foreground")
_OTHERS = (
    "variant", "train_also", "fit", "mask_choice", "postprocessing", "sam", "sam_sha256", "image_size",
    "promise_seg_version",
)  # fmt: skip

FIRST_SETTINGS: dict[str, Any] = {
    "protocol": "own", "variant": "apm+ips", "apm": "heatmap", "apm_options": {}, "train_also": "none",
    "num_points": 16, "num_foreground": 8, "fit": "stretch", "epochs": 40, "batch_size": 16, "accumulate": 1,
    "views": 8, "augmentation": "own", "optimizer": "adamw", "learning_rate": 5e-4, "weight_decay": 0.01,
    "warmup_share": 0.05, "mask_weight": 1.0, "point_weight": 1.0, "saliency_weight": 1.0, "edge_weight": 0.0,
    "distance_weight": 1.0, "presence_weight": 0.5, "quality_weight": 1.0, "shifts": 1, "given_prompts": "points",
    "learns_quality": False, "decoder_interval": 1, "own_sets": 4, "val_interval": 1, "scores_volumes": False,
    "mixes_views": False, "inverted_views": 0.0, "separate_objects": False, "precision": "no",
}  # fmt: skip
"""The value of each setting, as JSON, in a run whose record lacks it because the setting was added later.

These values never change, whatever the defaults of new runs become. ``seed`` is not among them, as every version
recorded it.
"""


def with_first_settings(values: Any) -> Any:
    """Complete the recorded settings of a run with :data:`FIRST_SETTINGS`; other than mappings are returned as is."""
    return FIRST_SETTINGS | values if isinstance(values, dict) else values


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
