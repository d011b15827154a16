"""Atomic writing of files and folders, locks, downloads, and access to files on object stores."""
