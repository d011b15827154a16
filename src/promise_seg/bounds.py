"""Upper bounds of numbers that users give, so that a slip is refused before it exhausts the memory."""

MOST_POINTS = 1024
"""The most points of one prompt: in SAM's decoder, with 8 heads and 64 x 64 places, they need 128 MB per image."""
LARGEST_INPUT_SIDE = 4096
"""The largest side that an input can be resized to, in pixels: 16 times as many pixels as SAM's own 1024 x 1024.

The features of one image are then 0.4 GB with ViT-B. Larger images are what tiles are for.
"""
