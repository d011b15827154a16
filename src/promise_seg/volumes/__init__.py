"""Combine the slices of a volume: carry masks from slice to slice, blend along the stack, and clean in 3-D."""
