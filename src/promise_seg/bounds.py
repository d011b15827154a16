"""Upper limits of numbers that users give, so that a typo is rejected before it exhausts the memory."""

MOST_POINTS = 1024
"""The maximum number of points in a prompt: SAM's decoder, with 8 heads and 64 x 64 positions, then needs 128 MB per
image."""
LARGEST_INPUT_SIDE = 4096
"""The largest side that an input can be resized to, in pixels: 16 times as many pixels as SAM's own 1024 x 1024.

The features of one image are then 0.4 GB with ViT-B. Larger images are processed in tiles.
"""
