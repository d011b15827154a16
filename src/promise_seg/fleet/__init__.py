"""Work that is divided among the workers of a cluster: who does what, and what happens when they die."""
