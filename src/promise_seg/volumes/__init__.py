"""The slices of a volume as one mask: carried from slice to slice, blended along the stack, and cleaned in 3-D."""
