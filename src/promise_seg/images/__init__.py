"""Files to pixels and back: formats, orientations, grey windows, masks, geometry, and what lies in an export.

This room knows no manifest, no model and no SAM.
"""
