"""Estimate how far the mask of an image can be trusted, without its ground truth."""
