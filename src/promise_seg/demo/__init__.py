"""The demonstration: the main job from end to end, on drawn scenes or on the user's data."""
