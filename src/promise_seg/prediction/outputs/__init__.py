"""Write predicted labels in file formats that keep the geometry of the image."""
