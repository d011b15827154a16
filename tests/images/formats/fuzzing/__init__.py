"""Damaged files of every format, and processes that try to read them: what ``test_fuzz.py`` runs."""
