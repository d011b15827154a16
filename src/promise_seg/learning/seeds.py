"""Seeds of PyTorch's random number generator, derived from the user's seed."""

_LIMIT = 2**63
_EPOCHS = 1_000_003
"""More than the epochs of any training, so that no two epochs of any two seeds share a seed."""


def torch_seed(seed: int, epoch: int | None = None) -> int:
    """Return the seed for PyTorch, which takes at most 64 bits while a user's seed may be larger.

    Args:
        seed: the user's seed, at least 0.
        epoch: the epoch that begins, if the random numbers are those of one epoch.
    """
    return (seed if epoch is None else seed * _EPOCHS + epoch) % _LIMIT
