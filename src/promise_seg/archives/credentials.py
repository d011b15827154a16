"""Credentials for an archive, which are read from environment variables only and never appear in messages."""

import base64
import os
import shlex
import subprocess
import threading

from promise_seg.errors import SettingsError, first_line

_COMMAND_SECONDS = 60
_OF_SOURCE = (
    "PROMISE_SEG_ARCHIVE_USER", "PROMISE_SEG_ARCHIVE_PASSWORD", "PROMISE_SEG_ARCHIVE_TOKEN",
    "PROMISE_SEG_ARCHIVE_TOKEN_COMMAND",
)  # fmt: skip
_OF_TARGET = (
    "PROMISE_SEG_ARCHIVE_TO_USER", "PROMISE_SEG_ARCHIVE_TO_PASSWORD", "PROMISE_SEG_ARCHIVE_TO_TOKEN",
    "PROMISE_SEG_ARCHIVE_TO_TOKEN_COMMAND",
)  # fmt: skip


class Credentials:
    """A user with a password, a token, a command that prints a token, or nothing.

    Several threads may share an instance. Neither ``repr`` nor any message shows a secret.

    Args:
        of_target: whether the credentials are for the archive that ``--to`` names, which has variables of its own, so
            that credentials are only ever sent to the archive that they belong to.

    Raises:
        SettingsError: if the environment sets more than one way to log in, an incomplete one, or an invalid value.
    """

    def __init__(self, *, of_target: bool = False) -> None:
        self.names = _OF_TARGET if of_target else _OF_SOURCE
        user, password, token, command = (os.environ.get(name) or None for name in self.names)
        if (user is None) != (password is None):
            given, lacking = (self.names[0], self.names[1])[:: 1 if password is None else -1]
            raise SettingsError(f"{given}: is set without {lacking}. Set both")
        if sum(one is not None for one in (user, token, command)) > 1:
            raise SettingsError(
                f"{', '.join(self.names)}: more than one way to log in is set; expected a user and a password, a "
                "token, or a command that prints one. Unset the others"
            )
        self._command, self._lock = command, threading.Lock()
        self._header: str | None = None
        if user is not None and password is not None:
            if ":" in user:
                raise SettingsError(f"{self.names[0]}: has a colon, which no user has")
            self._header = f"Basic {base64.b64encode(self._encoded(user, password)).decode()}"
        elif token is not None:
            self._header = _bearer(token, self.names[2])

    def _encoded(self, user: str, password: str) -> bytes:
        try:
            return f"{user}:{password}".encode()
        except UnicodeEncodeError:  # the error is not quoted, as it contains the secret
            raise SettingsError(f"{self.names[0]} or {self.names[1]}: is not text in UTF-8. Set it again") from None

    @property
    def are_given(self) -> bool:
        """Whether any credentials are set."""
        return self._header is not None or self._command is not None

    @property
    def can_be_renewed(self) -> bool:
        """Whether there is a command that prints a fresh token."""
        return self._command is not None

    def header(self) -> str | None:
        """Return the value of the ``Authorization`` header; None if no credentials are set.

        Raises:
            SettingsError: if the command that prints a token fails, or prints something else.
        """
        with self._lock:
            if self._header is None and self._command is not None:
                self._header = _bearer(self._printed(self._command), self.names[3])
            return self._header

    def renew(self, refused: str | None) -> None:
        """Discard a token that the archive rejected, unless another thread has renewed it already.

        Args:
            refused: the ``Authorization`` header that was rejected.
        """
        with self._lock:
            if self._command is not None and self._header == refused:
                self._header = None

    def _printed(self, command: str) -> str:
        """Return the output of a command.

        Raises:
            SettingsError: if it fails. The message does not quote its output, which may contain a secret.
        """
        name = self.names[3]
        try:
            done = subprocess.run(
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_SECONDS,
                check=True,
            )
        except subprocess.TimeoutExpired:
            raise SettingsError(f"{name}: the command took more than {_COMMAND_SECONDS} seconds") from None
        except subprocess.CalledProcessError as error:
            raise SettingsError(
                f"{name}: the command failed with exit code {error.returncode}. Run it by itself to see why"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or first_line(error)
            raise SettingsError(f"{name}: the command cannot be run: {reason}") from None
        return done.stdout.decode(errors="replace")  # U+FFFD, which no token contains

    def __repr__(self) -> str:
        """Return whether credentials are set, without the secrets."""
        return f"Credentials(are_given={self.are_given})"


def _bearer(token: str, name: str) -> str:
    token = token.strip().removeprefix("Bearer ").strip()
    if not token or not token.isascii() or any(one.isspace() or not one.isprintable() for one in token):
        raise SettingsError(f"{name}: is not a token; expected one word of plain characters, as a login service gives")
    return f"Bearer {token}"
