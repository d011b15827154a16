"""Encode each image and view once, and keep the result on disk."""
