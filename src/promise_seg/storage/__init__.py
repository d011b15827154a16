"""Files and folders that are written whole or not at all, locks on them, downloads, and files at addresses."""
