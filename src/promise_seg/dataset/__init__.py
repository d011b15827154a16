"""A labelled data set: its manifest, the check of every file before any work begins, and its splits."""
