"""Tools that make data sets: ``promise data make``, ``import``, ``check`` and ``fetch``.

Only the command line imports them, and ``promise_seg.import_annotations``.
"""
