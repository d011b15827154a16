"""Turn annotations that are no masks (outlines, run lengths, contours, colours) into label maps and a manifest.

There is a file for each format, named after it, with a function that reads it; ``recognising.py`` lists them.
"""
