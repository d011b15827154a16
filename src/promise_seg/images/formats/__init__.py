"""Readers of image files, volumes and DICOM as arrays: a class for each format, listed in ``kinds``."""
