"""Drawn scenes, for pre-training and testing without any data set."""

from promise_seg.scenes.drawing import draw_scene
from promise_seg.scenes.kinds import KINDS, MEDICAL_KINDS
from promise_seg.scenes.types import Scene

__all__ = ["KINDS", "MEDICAL_KINDS", "Scene", "draw_scene"]
