"""From images to masks, without any ground truth."""
