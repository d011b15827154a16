"""Predicted labels as files that fit back to where the image came from."""
