"""Files as they come, pictures, volumes and DICOM, to arrays: a class for each format, listed in ``kinds``."""
