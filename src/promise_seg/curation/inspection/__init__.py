"""What may be wrong with a data set: all of it at once, before anyone trains on it."""
