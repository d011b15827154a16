"""Scenes that this project draws itself, to pre-train and to test on without any data set."""

from promise_seg.data.scenes.drawing import draw_scene
from promise_seg.data.scenes.kinds import KINDS, MEDICAL_KINDS
from promise_seg.data.scenes.types import Scene

__all__ = ["KINDS", "MEDICAL_KINDS", "Scene", "draw_scene"]
