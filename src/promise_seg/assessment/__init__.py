"""Measure masks against the ground truth, at each image's own size."""
