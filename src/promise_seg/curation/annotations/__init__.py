"""Convert annotations that are not masks (outlines, run lengths, contours, colours) into label maps and a manifest.

Each format has a module named after it, with a function that reads it; ``recognising.py`` lists them.
"""
