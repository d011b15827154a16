"""Find everything that may be wrong with a data set, all at once, before anyone trains on it."""
