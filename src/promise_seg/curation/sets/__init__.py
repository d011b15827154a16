"""Published data sets: where they come from, and the way from their archives to images, masks and a manifest."""
