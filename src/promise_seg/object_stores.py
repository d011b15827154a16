"""Folders on object stores (``s3://``, ``gs://`` ...) through fsspec: objects are written whole, and tries repeated.

A server that cannot be reached is asked again with growing pauses. Credentials come from the environment and from the
configuration of the service's own tools; an address that holds any is refused, and not printed.
"""

import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from promise_seg.errors import PromiseError, SettingsError, first_line

Result = TypeVar("Result")

_ADDRESS = re.compile(r"(?P<kind>[a-z][a-z0-9+.-]*)://(?P<place>.+)", re.DOTALL)
_WITH_NO_SLASH = re.compile(r"(s3|gs):/[^/]")  # what a path makes of an address
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_KINDS = (*_PACKAGES, "memory")
_OPTIONS = {"s3": {"config_kwargs": {"retries": {"total_max_attempts": 1}}}}  # as it is tried again here
_TRIES = 9
_LONGEST_WORDS = 300
_FIRST_PAUSE_SECONDS = 0.2
_MOST_BYTES_AT_ONCE = 5 * 2**30  # that one request of S3 may put
_FINAL = (
    FileNotFoundError,
    PermissionError,
    FileExistsError,
    NotADirectoryError,
    IsADirectoryError,
    NotImplementedError,
)
_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"})
_BOTOCORE = "BotoCoreError"
_OF_CONNECTION = frozenset(
    {"HTTPClientError", "ConnectionError", "IncompleteReadError", "ChecksumError", "FlexibleChecksumError",
     "MetadataRetrievalError", "CredentialRetrievalError", "TokenRetrievalError"}
)  # fmt: skip
"""The errors of botocore that may pass; all others are of its configuration and come before any request."""
_MAY_PASS = frozenset({408, 409, 425, 429, "RequestTimeout", "IncompleteBody", "BadDigest"})
"""The answers that blame a request, and are not given to the same request again."""


def is_address(text: object) -> bool:
    """Whether a text is an address of an object store rather than a path."""
    return isinstance(text, str) and (_ADDRESS.fullmatch(text) or _WITH_NO_SLASH.match(text)) is not None


class ObjectFolder:
    """A prefix on an object store.

    Args:
        address: such as ``s3://bucket/prefix``.
        option: that gave the address, for messages.
        pause: waits some seconds.

    Raises:
        SettingsError: if the address cannot be meant, or the package for its kind is not installed.
    """

    def __init__(self, address: str, option: str, pause: Callable[[float], object] = time.sleep) -> None:
        kind, _, rest = address.partition(":")
        if "@" in rest or "?" in rest or ":" in rest.lstrip("/").split("/")[0]:  # a secret may hold any sign
            raise SettingsError(
                f"{option} {kind}://...: the address has credentials or options in it, which others could read in "
                "lists of processes. Leave them out; they are read from the environment, such as AWS_PROFILE"
            )
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise SettingsError(f"{option} {address}: expected an address such as s3://BUCKET/PREFIX, or a folder")
        kind, place = found["kind"], found["place"]
        if kind not in _KINDS:
            raise SettingsError(f"{option} {address}: expected an address of {' or '.join(_PACKAGES)}, or a folder")
        self.address, self._option, self._pause = address.rstrip("/"), option, pause
        import fsspec

        try:
            self._system: Any = fsspec.filesystem(kind, use_listings_cache=False, **_OPTIONS.get(kind, {}))
        except ImportError as error:
            raise SettingsError(
                f"{option} {address}: needs the Python package {_PACKAGES[kind]}, which is not installed. Install it: "
                f"pip install 'promise-seg[{kind}]'"
            ) from error
        if hasattr(self._system, "retries"):
            self._system.retries = 1
        self._root = place.strip("/")

    def check(self, marker: str, content: bytes) -> None:
        """Find out whether objects may be written here, by writing a marker unless it is there.

        Raises:
            PromiseError: if there is no such bucket, it may not be written, or its server does not answer.
        """
        if self.read(marker) is None:
            self.write(marker, content)

    def read(self, name: str, end: int | None = None) -> bytes | None:
        """Return an object, or its first bytes; ``None`` if it is not there.

        Raises:
            PromiseError: if it may not be read, or the server does not answer.
        """
        try:
            return bytes(self._patiently(name, lambda: self._system.cat_file(self._path(name), start=None, end=end)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, *, only_new: bool = False) -> bool:
        """Write an object whole.

        Args:
            name: below the prefix.
            content: of the object.
            only_new: leave an object alone that is there, where the server can compare that itself.

        Returns:
            Whether it was written.

        Raises:
            PromiseError: if there is no such bucket, it may not be written, or the server does not answer.
        """
        if len(content) > _MOST_BYTES_AT_ONCE:
            raise PromiseError(
                f"{self.address}/{name}: is too large to be written at once, with {len(content):,} bytes"
            )
        mode = "create" if only_new else "overwrite"
        size = max(len(content) + 1, 2**20)  # in one request, which is all or nothing

        def put() -> None:
            more = {"chunksize": size} if self.address.startswith(("s3:", "gs:")) else {}
            self._system.pipe_file(self._path(name), content, mode=mode, **more)

        try:
            self._patiently(name, put)
        except FileExistsError:
            return False
        except FileNotFoundError as error:
            bucket = self._root.split("/")[0]
            raise PromiseError(
                f"{self._option} {self.address}: there is no bucket {bucket}: {first_line(error)}. Make it, or name "
                "another"
            ) from error
        return True

    def remove(self, name: str) -> None:
        """Remove an object, if it is there.

        Raises:
            PromiseError: if it may not be removed, or the server does not answer.
        """
        with suppress(FileNotFoundError):
            self._patiently(name, lambda: self._system.rm_file(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _patiently(self, name: str, call: Callable[[], Result]) -> Result:
        """Call until the server answers; what it refuses is not asked again."""
        for number in range(_TRIES):
            try:
                return call()
            except PermissionError as error:
                raise PromiseError(
                    f"{self._option} {self.address}: may not be read or written: {first_line(error)}. Set other "
                    "credentials in the environment, or name another place"
                ) from error
            except _FINAL:
                raise
            except Exception as error:
                if type(error).__name__ in _NO_CREDENTIALS:
                    raise PromiseError(
                        f"{self._option} {self.address}: there are no credentials in the environment: "
                        f"{first_line(error)}"
                    ) from error
                if _is_final(error):
                    raise PromiseError(
                        f"{self._option} {self.address}: cannot be used: {_in_one_line(error)}. Correct the address, "
                        "or the configuration in the environment"
                    ) from error
                if number == _TRIES - 1:
                    raise PromiseError(
                        f"{self.address}/{name}: the server gave no answer in {_TRIES} tries: {first_line(error)}. "
                        "What was stored before is unharmed; give the same command again"
                    ) from error
                self._pause(_FIRST_PAUSE_SECONDS * 2**number * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")


def _in_one_line(error: BaseException) -> str:
    """Return the message of an error whose first line only announces the others."""
    return " ".join(str(error).split())[:_LONGEST_WORDS].rstrip(".")


def _is_final(error: BaseException) -> bool:
    """Whether the same request would fail again: an error of the configuration, or an answer that says so.

    The classes are known by their names, so that the packages of the services need not be imported.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if _BOTOCORE in names:
        return not names & _OF_CONNECTION
    answer = getattr(error.__cause__, "response", None)  # of botocore, under an error of the system
    if not isinstance(answer, dict):
        answer = {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", getattr(error, "code", None))
    word = answer.get("Error", {}).get("Code")
    return isinstance(status, int) and 400 <= status < 500 and not {status, word} & _MAY_PASS
