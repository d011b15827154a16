"""Find images and their masks in folders of the usual layouts. To add a layout, see ``layouts.py``."""
