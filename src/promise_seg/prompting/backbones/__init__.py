"""Networks pretrained on natural images: the backbones of the auto-prompting module ``pretrained``."""
