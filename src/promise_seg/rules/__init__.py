"""Rules that make masks and objects of a model's outputs, chosen on validation rows and kept with the model."""
