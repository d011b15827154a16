"""Published data sets: where they come from, and how their archives become images, masks and a manifest."""
