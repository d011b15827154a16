"""The command line as a module: ``python -m promise_seg train ...`` is ``promise train ...``."""

from promise_seg.cli.console import run

if __name__ == "__main__":
    run()
