"""Find everything that may be wrong with a data set, in a single pass, before training on it."""
