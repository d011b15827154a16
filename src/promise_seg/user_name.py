"""A name for users whom the system knows by number alone, as in many containers: libraries ask for it when imported."""

import getpass
import os


def give_user_a_name() -> None:
    """Let ``getpass`` find a name, made of the user's number, where the system has none. Others are left alone."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = f"user-{os.getuid()}" if hasattr(os, "getuid") else "user"
