"""A labelled data set: its manifest, the check of every file before work begins, and its splits."""
