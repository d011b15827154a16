"""Predict masks of images, without any ground truth."""
