"""Files as they come: pictures, TIFF stacks, NIfTI volumes, DICOM images, series and segmentations, to arrays."""
