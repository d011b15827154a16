"""The share of rows to validate or test on, apart from what reads manifests: ``--help`` names it."""

DEFAULT_VAL_SHARE = 0.15
"""The share of rows that are split off for ``val`` or ``test`` where nobody says how many."""
