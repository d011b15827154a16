"""How far to trust the mask of one image, without its ground truth."""
