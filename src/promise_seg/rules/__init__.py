"""Rules that turn a model's outputs into masks and objects; chosen on validation rows and stored with the model."""
