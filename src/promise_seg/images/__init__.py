"""Files to pixels and back: formats, orientation, intensity windows, masks, geometry, and PACS exports.

Nothing here knows of manifests, models or SAM.
"""
