"""Many models on many data sets: trained, scored on the same images, and laid out as one table."""
