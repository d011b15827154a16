"""Published data sets: their sources, and the conversion of their archives to images, masks and a manifest."""
