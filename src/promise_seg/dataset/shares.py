"""The default share of validation and test rows, in a module of its own that ``--help`` can import quickly."""

DEFAULT_VAL_SHARE = 0.15
"""The share of rows that are split off for ``val`` or ``test`` by default."""
