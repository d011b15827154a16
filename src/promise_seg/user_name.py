"""A name for users whom the system knows only by number, as in many containers; some libraries ask for it on import."""

import getpass
import os


def give_user_a_name() -> None:
    """Let ``getpass`` find a name made of the user's number if the system has no name; otherwise change nothing."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = f"user-{os.getuid()}" if hasattr(os, "getuid") else "user"
