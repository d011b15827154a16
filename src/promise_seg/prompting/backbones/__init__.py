"""Networks that were trained on natural images, as the eyes of an auto-prompting module."""
