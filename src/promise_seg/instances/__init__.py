"""Instance segmentation: prompts and a mask for each object of an image, and one instance map."""
