"""Tools that make data sets: ``promise data make``, ``import``, ``check`` and ``fetch``.

They are imported by the command line and by ``promise_seg.import_annotations`` only.
"""
