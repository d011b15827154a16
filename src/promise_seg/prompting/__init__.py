"""Where prompts come from: a user, the ground truth (oracle), or the auto-prompting module."""
