"""The use cases, as functions: train, evaluate, load, predict, compare.

The commands parse their options, call these functions and print; Python users call them as ``promise_seg.train`` and
so on. Nothing here prints: functions return values, raise the errors of :mod:`promise_seg.errors`, and report progress
through :mod:`promise_seg.progress`.
"""
