"""Folders on object stores (``s3://``, ``gs://`` ...) through fsspec, with atomic writes and repeated attempts.

Web servers (``https://``) are only read. A server that cannot be reached is asked again with growing pauses.
Credentials come from the environment and from the configuration of the service's own tools; an address that contains
credentials is rejected, and not printed.
"""

import errno
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from promise_seg.errors import PromiseError, SettingsError, first_line

Result = TypeVar("Result")

_ADDRESS = re.compile(r"(?P<kind>[a-z][a-z0-9+.-]*)://(?P<place>.+)", re.DOTALL)
_CUT_SHORT = re.compile(r"(s3|gs|https?):(/[^/]|/*$)")  # an address as changed by Path, or without a bucket
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_WEB = ("https", "http")
_THIS_COMPUTER = re.compile(r"(localhost|127\.0\.0\.1)(:\d+)?")
_HOST = re.compile(r"[A-Za-z0-9.-]+:\d+")
_KINDS = (*_PACKAGES, "memory")
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"retries": {"total_max_attempts": 1}}},  # as attempts are repeated here
    **{kind: {"client_kwargs": {"trust_env": True}} for kind in _WEB},  # for proxies
}
_TRIES = 9
_LONGEST_WORDS = 300
_FIRST_PAUSE_SECONDS = 0.2
_MOST_BYTES_AT_ONCE = 5 * 2**30  # limit of S3 for one request
_MOST_BYTES_AT_HAND = 2**26  # largest file that is read into memory and written in one request
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
"""The errors of botocore that may be temporary; all others concern its configuration and occur before any request."""
_OF_THIS_COMPUTER = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_WITHOUT_TRUST = "ClientSSLError"  # of aiohttp
_GONE = frozenset({404, 410})
_MARKS = ("ETag", "etag", "Last-Modified", "LastModified", "updated", "created")
_MAY_PASS = frozenset({408, 409, 425, 429, "RequestTimeout", "IncompleteBody", "BadDigest"})
"""The error codes that blame a request, but need not occur again for the same request."""


def is_address(text: object) -> bool:
    """Whether a text is an address of an object store or web server rather than a path."""
    return isinstance(text, str) and (_ADDRESS.fullmatch(text) or _CUT_SHORT.match(text)) is not None


def address_of(place: object) -> str | None:
    """Return the address in a text or a path, with both of its slashes; ``None`` for a path of this computer."""
    text = str(place)
    if not is_address(text):
        return None
    kind, rest = text.split(":", 1)
    return f"{kind}://{rest.lstrip('/')}"


class ObjectState(NamedTuple):
    """The size of an object in bytes, -1 if unknown, and a mark that changes with its content: an ETag or a time."""

    size: int
    mark: str


class ObjectFolder:
    """A prefix on an object store, or on a web server, which is only read.

    Args:
        address: address of the prefix, such as ``s3://bucket/prefix``.
        option: option that the address was given with, for messages; may be empty.
        pause: function that waits a number of seconds.
        is_read: whether the prefix is only read, so that it may be on a web server.

    Raises:
        SettingsError: if the address is invalid, or the package for its kind is not installed.
    """

    def __init__(
        self, address: str, option: str, pause: Callable[[float], object] = time.sleep, *, is_read: bool = False
    ) -> None:
        check_address(address, option, is_read=is_read)
        kind, place = address.split("://", 1)
        self.address, self._pause = address.rstrip("/"), pause
        self._shown = f"{option} {self.address}".strip()
        self._is_web = kind in _WEB
        import fsspec

        try:
            self._system: Any = fsspec.filesystem(kind, use_listings_cache=False, **_OPTIONS.get(kind, {}))
        except ImportError as error:
            raise SettingsError(
                f"{self._shown}: needs the Python package {_PACKAGES.get(kind, 'aiohttp')}, which is not installed. "
                f"Install it: pip install 'promise-seg[{kind if kind in _PACKAGES else _WEB[0]}]'"
            ) from error
        if hasattr(self._system, "retries"):
            self._system.retries = 1
        self._root = f"{kind}://{place.strip('/')}" if self._is_web else place.strip("/")

    def check(self, marker: str, content: bytes) -> None:
        """Check that objects can be written here, by writing a marker unless it exists.

        Raises:
            PromiseError: if there is no such bucket, writing is not permitted, or the server does not answer.
        """
        if self.read(marker) is None:
            self.write(marker, content)

    def read(self, name: str, end: int | None = None) -> bytes | None:
        """Return the content of an object, or its first ``end`` bytes; ``None`` if it does not exist.

        Raises:
            PromiseError: if reading is not permitted, or the server does not answer.
        """
        try:
            return bytes(self._patiently(name, lambda: self._system.cat_file(self._path(name), start=None, end=end)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, *, only_new: bool = False) -> bool:
        """Write an object, completely or not at all.

        Args:
            name: name of the object below the prefix.
            content: content of the object.
            only_new: whether an existing object is kept, as far as the server supports that check.

        Returns:
            Whether the object was written.

        Raises:
            PromiseError: if the content is larger than 5 GiB, there is no such bucket, writing is not permitted, or the
                server does not answer.
        """
        if len(content) > _MOST_BYTES_AT_ONCE:
            raise PromiseError(
                f"{self.address}/{name}: has {len(content):,} bytes; expected at most {_MOST_BYTES_AT_ONCE:,} for an "
                "object that is written in one request"
            )
        mode = "create" if only_new else "overwrite"
        size = max(len(content) + 1, 2**20)  # for a single request, which is atomic

        def put() -> None:
            more = {"chunksize": size} if self.address.startswith(("s3:", "gs:")) else {}
            self._system.pipe_file(self._path(name), content, mode=mode, **more)

        try:
            self._patiently(name, put)
        except FileExistsError:
            return False
        except FileNotFoundError as error:
            raise self._no_bucket(error) from error
        return True

    def send(self, name: str, file: Path) -> None:
        """Write an object from a file of any size, completely or not at all.

        Raises:
            OSError: if the file cannot be read.
            PromiseError: if there is no such bucket, writing is not permitted, or the server does not answer.
        """
        size = file.stat().st_size
        if size <= _MOST_BYTES_AT_HAND:
            self.write(name, file.read_bytes())
            return
        try:  # in parts, which become an object when the last part has arrived
            self._patiently(name, lambda: self._system.put_file(str(file), self._path(name)))
        except FileNotFoundError as error:
            raise self._no_bucket(error) from error

    def remove(self, name: str) -> None:
        """Remove an object, if it exists.

        Raises:
            PromiseError: if removal is not permitted, or the server does not answer.
        """
        with suppress(FileNotFoundError):
            self._patiently(name, lambda: self._system.rm_file(self._path(name)))

    def _no_bucket(self, error: BaseException) -> PromiseError:
        bucket = self._root.split("/")[0]
        return PromiseError(
            f"{self._shown}: the bucket {bucket} does not exist: {first_line(error)}. Create it, or give another "
            "address"
        )

    def state(self, name: str) -> ObjectState:
        """Return the size of an object, and the mark of its content.

        Raises:
            FileNotFoundError: if the object does not exist.
            PromiseError: if reading is not permitted, or the server does not answer.
        """
        found = self._patiently(name, lambda: self._system.info(self._path(name)))
        if found.get("type") == "directory":
            raise FileNotFoundError(f"{self.address}/{name}")
        return _state_of(found)

    def is_folder(self, name: str) -> bool:
        """Whether a name is a folder, that is a prefix of the names of objects up to a slash, and not an object.

        Raises:
            FileNotFoundError: if it is neither a folder nor an object.
            PromiseError: if reading is not permitted, or the server does not answer.
        """
        found = self._patiently(name, lambda: self._system.info(self._path(name)))
        return bool(found.get("type") == "directory")

    def listed(self, name: str) -> dict[str, ObjectState]:
        """Return all objects below a name, at any depth, by their names relative to it, sorted; there may be none.

        Raises:
            PromiseError: if listing is not permitted or is not possible (web servers), or the server does not answer.
        """
        if self._is_web:
            raise PromiseError(
                f"{self.address}/{name}: the files of a web server cannot be listed. Give the addresses of single "
                "files, or of a manifest"
            )
        above = self._path(name).rstrip("/") + "/"
        try:
            found = self._patiently(name, lambda: self._system.find(above, detail=True))
        except FileNotFoundError:
            return {}
        paths = {path.lstrip("/"): facts for path, facts in found.items()}
        above = above.lstrip("/")
        return {
            path.removeprefix(above): _state_of(facts)
            for path, facts in sorted(paths.items())
            if path.startswith(above) and path != above
        }

    def fetch(self, name: str, to: Path) -> ObjectState:
        """Copy a complete object into a file, and return its state.

        Raises:
            FileNotFoundError: if the object does not exist.
            OSError: if the file cannot be written because the disk is full or read-only.
            PromiseError: if reading is not permitted, the object keeps changing, or the server does not answer.
        """

        def get() -> ObjectState:
            before = _state_of(self._system.info(self._path(name)))
            self._system.get_file(self._path(name), str(to))
            size = to.stat().st_size
            if before.size not in (-1, size):
                raise ConnectionError(f"received {size:,} of {before.size:,} bytes")
            if _state_of(self._system.info(self._path(name))) != before:
                raise ConnectionError("the object was changed while it was read")
            return before

        return self._patiently(name, get)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _patiently(self, name: str, call: Callable[[], Result]) -> Result:
        """Repeat a call until the server answers; a request that the server rejects is not repeated."""
        for number in range(_TRIES):
            try:
                return call()
            except PermissionError as error:
                raise PromiseError(
                    f"{self._shown}: access was denied: {first_line(error)}. Set credentials with access in the "
                    "environment, or give another address"
                ) from error
            except _FINAL as error:
                if not self._is_web or (cause := _under(error)) is None:
                    raise
                self._raise_if_final(cause)
                last: Exception = cause
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _OF_THIS_COMPUTER:
                    raise
                self._raise_if_final(error)
                last = error
            if number < _TRIES - 1:
                self._pause(_FIRST_PAUSE_SECONDS * 2**number * random.uniform(0.5, 1.0))
        raise PromiseError(
            f"{self.address}/{name}: the server did not answer in {_TRIES} attempts: {first_line(last)}. Check the "
            "connection, and run the same command again"
        ) from last

    def _raise_if_final(self, error: Exception) -> None:
        """Raise an error if the same request would fail again."""
        if type(error).__name__ in _NO_CREDENTIALS:
            raise PromiseError(
                f"{self._shown}: found no credentials in the environment: {first_line(error)}. Set them as the tools "
                "of the provider expect them, such as AWS_PROFILE"
            ) from error
        if _is_final(error):
            raise PromiseError(
                f"{self._shown}: cannot be used: {_in_one_line(error)}. Correct the address, or the configuration in "
                "the environment"
            ) from error


def check_address(address: str, option: str, *, is_read: bool = False) -> None:
    """Check an address; for the arguments see :class:`ObjectFolder`.

    Raises:
        SettingsError: if the address is invalid; parts that may be secret are not in the message.
    """
    kind, _, rest = address.partition(":")
    shown, host = f"{option} {address}".strip(), rest.lstrip("/").split("/")[0]
    is_port = kind in _WEB and _HOST.fullmatch(host)
    if "@" in rest or "?" in rest or (":" in host and not is_port):  # a secret may contain any character
        raise SettingsError(
            f"{f'{option} {kind}'.strip()}://...: the address contains credentials or options, which other users "
            "could see in process lists. Leave them out, and set them in the environment, such as AWS_PROFILE"
        )
    if _ADDRESS.fullmatch(address) is None or not host:
        raise SettingsError(f"{shown}: expected an address such as s3://BUCKET/PREFIX, or a folder")
    if kind == "http" and is_read and not _THIS_COMPUTER.fullmatch(host):
        raise SettingsError(
            f"{shown}: an http:// connection is not encrypted, so others could read and change the files on the way; "
            "expected https://"
        )
    if kind in _WEB and not is_read:
        raise SettingsError(
            f"{shown}: nothing can be written to a web server; expected an address that begins with s3:// or gs://, "
            "or a folder"
        )
    if kind not in (*_KINDS, *_WEB):
        kinds = "s3://, gs:// or https://" if is_read else "s3:// or gs://"
        raise SettingsError(f"{shown}: expected an address that begins with {kinds}, or a folder")


def _state_of(facts: Mapping[str, Any]) -> ObjectState:
    """Return the state of an object from the description by a file system of fsspec."""
    mark = next((facts[name] for name in _MARKS if facts.get(name)), "")
    return ObjectState(-1 if facts.get("size") is None else int(facts["size"]), str(mark).strip('"'))


def _under(error: BaseException) -> Exception | None:
    """Return the cause of an error that fsspec reports as a missing file although the server did not say so.

    ``None`` if the file really is missing, or the error is of another kind.
    """
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return None
    return None if getattr(cause, "status", None) in _GONE else cause


def _in_one_line(error: BaseException) -> str:
    """Return the message of an error on one line, for errors whose first line only announces the others."""
    return " ".join(str(error).split())[:_LONGEST_WORDS].rstrip(".")


def _is_final(error: BaseException) -> bool:
    """Whether the same request would fail again: an error in the configuration, or an answer that rejects the request.

    Classes are identified by name, so that the packages of the services need not be imported.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if _WITHOUT_TRUST in names:
        return True
    if _BOTOCORE in names:
        return not names & _OF_CONNECTION
    answer = getattr(error.__cause__, "response", None)  # botocore's, as the cause of an OSError
    if not isinstance(answer, dict):
        answer = {}
    of_web = getattr(error, "status", None)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", getattr(error, "code", of_web))
    word = answer.get("Error", {}).get("Code")
    return isinstance(status, int) and 400 <= status < 500 and not {status, word} & _MAY_PASS
