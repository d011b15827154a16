"""Seeds of PyTorch's random numbers, made of the user's seed."""

_LIMIT = 2**63
_EPOCHS = 1_000_003
"""More than a training has epochs, so that no two epochs of any two seeds begin alike."""


def torch_seed(seed: int, epoch: int | None = None) -> int:
    """Return the number to seed PyTorch with; it takes only 64 bits, and a user's seed may be larger.

    Args:
        seed: the user's seed, at least 0.
        epoch: the epoch that begins, if the numbers are those of one epoch.
    """
    return (seed if epoch is None else seed * _EPOCHS + epoch) % _LIMIT
