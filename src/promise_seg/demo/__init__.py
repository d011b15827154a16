"""The demonstration: the whole workflow from end to end, on drawn scenes or on the user's data."""
