"""The console script: sets up signal handlers and output before other imports, and ends the process."""

import sys

from promise_seg.cli.stopping import listen, say_stopped, was_stopped
from promise_seg.cli.terminal import CLOSED_PIPE, forget_output, keep_going_without_output


def run() -> None:
    """Run the command line of this process, and exit with its exit code.

    A signal may arrive while libraries are imported. Some libraries then raise an error of their own, which is treated
    as the interruption too.
    """
    listen()
    output_error = keep_going_without_output()
    try:
        from promise_seg.cli.main import main

        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        forget_output()
        code = CLOSED_PIPE
    except BaseException:
        if not was_stopped():
            raise
        code = say_stopped()
    if error := output_error():
        print(f"promise: not all of the output could be printed: {error.strerror}. Files are complete", file=sys.stderr)
    sys.exit(code)
