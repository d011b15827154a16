"""Find the images to predict in files, folders and whole PACS exports."""
