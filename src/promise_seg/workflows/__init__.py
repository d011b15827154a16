"""The use cases, as functions: train, evaluate, load, predict, compare.

The commands parse, call these and print; Python users call them as ``promise_seg.train`` and so on. Nothing here
prints: there are return values, errors of :mod:`promise_seg.errors`, and progress by :mod:`promise_seg.progress`.
"""
