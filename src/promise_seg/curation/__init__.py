"""Making data sets: ``promise data make``, ``check`` and ``fetch``. Nothing below the command line imports this."""
