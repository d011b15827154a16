"""Pair images and masks in folders with common layouts. To add a layout, see ``layouts.py``."""
