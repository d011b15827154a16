"""Distribute work over the workers of a cluster, and recover from workers that die."""
