"""Learning: losses, the resumable training run, its settings and state, and the pre-training of the nano SAM."""
