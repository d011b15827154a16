"""The one way from an image to its masks: frame, features, prompts, decoding, and back to the image frame.

Training's validation, evaluation, the prompt ablation, trust, prediction and reports all go through here.
"""
