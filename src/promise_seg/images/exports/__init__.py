"""What there is to predict in files, folders and whole PACS exports that a user names."""
