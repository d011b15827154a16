"""The sources of prompts: the ground truth (oracle), or the auto-prompting module."""
