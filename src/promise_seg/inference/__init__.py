"""The common path from an image to its masks: frame, features, prompts, decoding, and back to the image frame.

Validation in training, evaluation, the prompt ablation, trust, prediction and reports all use it.
"""
