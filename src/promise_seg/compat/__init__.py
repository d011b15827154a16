"""Weights in other people's formats."""
