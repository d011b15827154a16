"""Train many models on many data sets, score them on the same images, and collect the results in tables."""
