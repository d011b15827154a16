"""Tools that make data sets: ``promise data make``, ``check`` and ``fetch``. Only the command line imports them."""
