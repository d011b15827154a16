"""Tests of work that a cluster divides."""
