"""Requests to an archive, with credentials, retries and informative error messages."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, TypeVar
from urllib.parse import urlencode

from promise_seg._version import __version__
from promise_seg.archives.address import Address
from promise_seg.archives.credentials import Credentials
from promise_seg.archives.errors import ArchiveError, ArchiveStoppedError, BrokenOffError, shown
from promise_seg.archives.openers import Sockets, build_opener
from promise_seg.archives.redirecting import answers_to_post, is_redirection, redirected
from promise_seg.archives.retrying import (
    OVERLOADED,
    TRANSIENT,
    RetryPolicy,
    asked_pause,
    may_pass,
    number_in,
    reason_of,
)
from promise_seg.errors import first_line

Found = TypeVar("Found")

_CHUNK = 1 << 16
_MOST_REDIRECTIONS = 5
_MOST_REASON = 100


@dataclass(frozen=True)
class ArchiveRequest:
    """A request to an archive: ``GET``, or ``POST`` if there is a body.

    Args:
        path: path below the root of the archive's services, with a leading slash.
        accept: the requested content type.
        query: query parameters.
        body: the body to send, if any.
        content_type: content type of the body.
        passing: status codes other than 200 to 299 that count as answers and not as failures.
    """

    path: str
    accept: str
    query: Mapping[str, str | int] | None = None
    body: bytes | None = None
    content_type: str = ""
    passing: frozenset[int] = frozenset()


class Response:
    """An answer whose body can be read once.

    Args:
        status: HTTP status code.
        headers: HTTP headers.
        body: stream of the body.
        is_stopped: returns whether the connection was stopped.
        failures: number of times that the same request failed before; the archive may have carried it out regardless.
    """

    def __init__(
        self,
        status: int,
        headers: HTTPMessage,
        body: IO[bytes],
        is_stopped: Callable[[], bool],
        failures: int = 0,
    ) -> None:
        self.status, self.headers, self._body, self._is_stopped = status, headers, body, is_stopped
        self.failures = failures

    def chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most 64 KiB.

        Raises:
            ArchiveStoppedError: if the connection was stopped.
            BrokenOffError: if the body ends early.
        """
        announced, read = number_in(self.headers.get("Content-Length", "")), 0
        while chunk := self._piece():
            if self._is_stopped():
                raise ArchiveStoppedError("the work was stopped")
            read += len(chunk)
            yield chunk
        if announced is not None and read < announced:
            raise BrokenOffError(f"after {read:,} of {announced:,} bytes")

    def _piece(self) -> bytes:
        try:
            return self._body.read(_CHUNK)
        except (OSError, HTTPException) as error:
            raise BrokenOffError(reason_of(error)) from error

    def content(self, most: int) -> bytes:
        """Return the whole body.

        Raises:
            ArchiveError: if it has more than ``most`` bytes.
            ArchiveStoppedError: if the connection was stopped.
            BrokenOffError: if it ends early.
        """
        found = bytearray()
        for chunk in self.chunks():
            found += chunk
            if len(found) > most:
                raise ArchiveError(f"the answer has more than {most:,} bytes, which is the limit")
        return bytes(found)


class Connection:
    """The connection to an archive. Several threads may share it.

    Args:
        address: address of the archive.
        credentials: credentials for the archive.
        retry_policy: number of tries of a request and the pauses between them; a default one if None.
        told: called with a line for the user before each pause.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        retry_policy: RetryPolicy | None = None,
        told: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.address, self._credentials, self._told = address, credentials, told
        self._retry_policy = retry_policy or RetryPolicy()
        self._stop = threading.Event()
        self._was_reached = self._was_let_in = False
        self._sockets = Sockets()
        self._opener = build_opener(self._sockets, with_proxies=not address.is_this_computer)

    def stop(self) -> None:
        """Abort all requests in other threads, including those that are waiting for the next try."""
        self._stop.set()
        self._sockets.end()

    def pause(self, failures: int) -> None:
        """Wait as long as after this number of failed tries.

        Raises:
            ArchiveStoppedError: if the connection is stopped.
        """
        self._rest(self._retry_policy.pause(failures))

    def _rest(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._check_wanted()

    def _check_wanted(self) -> None:
        if self._stop.is_set():
            raise ArchiveStoppedError("the work was stopped")

    def exchange(self, request: ArchiveRequest, read: Callable[[Response], Found]) -> Found:
        """Make a request, repeat it if that may help, and return what ``read`` returns for the answer.

        Args:
            request: the request.
            read: called with each answer that is not a failure; called again with a new answer if the body ends early.

        Raises:
            ArchiveError: if the archive does not have the requested data, or cannot provide it.
            ArchiveStoppedError: if the archive cannot be reached, stays overloaded, or rejects the credentials, or if
                the connection is stopped.
        """
        failures, renewed = 0, False
        while True:
            header = self._credentials.header()
            try:
                with self._opened(request, header) as answer:
                    self._was_reached = True
                    if answer.status == 401 and self._credentials.can_be_renewed and not renewed:
                        self._credentials.renew(header)
                        renewed = True
                        continue
                    if 200 <= answer.status < 300 or answer.status in request.passing:
                        found = self._read(request, answer, read, failures)
                        self._was_let_in = True
                        return found
                    if answer.status not in TRANSIENT:
                        raise self._refusal(request, answer.status)
                    status, asked = answer.status, asked_pause(answer.headers)
                    reason = f"the archive answered {answer.status} {(answer.reason or '')[:_MOST_REASON]}".rstrip()
            except (OSError, HTTPException) as error:
                status, asked, reason = 0, None, reason_of(error)
                self._check_wanted()
                if not may_pass(error, was_reached=self._was_reached):
                    raise ArchiveStoppedError(f"{self._place()}: {reason}") from error
            failures += 1
            self._wait(request, failures, status, asked, reason)

    def _read(
        self, request: ArchiveRequest, answer: HTTPResponse, read: Callable[[Response], Found], failures: int
    ) -> Found:
        """Return what ``read`` returns for an answer; error messages about the answer begin with its address."""
        try:
            return read(Response(answer.status, answer.headers, answer, self._stop.is_set, failures))
        except ArchiveStoppedError:
            raise
        except ArchiveError as error:
            raise ArchiveError(f"{self._place(request)}: {error}") from error

    def _wait(self, request: ArchiveRequest, failures: int, status: int, asked: float | None, reason: str) -> None:
        """Wait before the next try.

        Raises:
            ArchiveError: if there is no further try.
            ArchiveStoppedError: likewise, if the archive is overloaded, asks for too long a pause or cannot be reached.
        """
        where = self._place(request)
        if asked is not None and asked > self._retry_policy.longest_asked_seconds:
            raise ArchiveStoppedError(
                f"{where}: {reason}, and asks to wait for {asked:.0f} seconds; expected at most "
                f"{self._retry_policy.longest_asked_seconds:.0f}. Run the same command again later"
            )
        if failures >= self._retry_policy.tries:
            kind = ArchiveStoppedError if status in OVERLOADED or not status else ArchiveError
            raise kind(f"{where}: {reason}, {failures} times in a row")
        pause = self._retry_policy.pause(failures) if asked is None else asked
        self._told(shown(f"{self.address.host}: {reason}; trying again in {pause:.0f} s"))
        self._rest(pause)

    def _opened(self, request: ArchiveRequest, authorization: str | None) -> HTTPResponse:
        """Send a request, follow redirections, and return the answer, whatever its status.

        Raises:
            OSError: if the archive cannot be reached; likewise ``HTTPException``.
            ArchiveStoppedError: if there are too many redirections, or one leads to another host.
        """
        url = self.address.root + request.path + (f"?{urlencode(request.query)}" if request.query else "")
        body = request.body
        for _ in range(_MOST_REDIRECTIONS + 1):
            answer = self._answer_of(url, request, body, authorization)
            if not is_redirection(answer.status) or "Location" not in answer.headers:
                return answer
            with answer:
                url = redirected(self.address.root, url, answer.headers["Location"])
                body = None if answers_to_post(answer.status) else body
        raise ArchiveStoppedError(
            f"{self._place(request)}: redirects more than {_MOST_REDIRECTIONS} times. Ask the administrator of the "
            "archive for its address"
        )

    def _answer_of(
        self, url: str, request: ArchiveRequest, body: bytes | None, authorization: str | None
    ) -> HTTPResponse:
        """Return the answer to a request at a single address, without following redirections."""
        try:
            sent = urllib.request.Request(url, data=body, headers={"User-Agent": f"promise-seg/{__version__}"})
            sent.add_header("Accept", request.accept)
            if body is not None:
                sent.add_header("Content-Type", request.content_type)
            if authorization is not None:
                sent.add_unredirected_header("Authorization", authorization)
            return self._opener.open(sent, timeout=self._retry_policy.answer_seconds)
        except urllib.error.HTTPError as error:
            return error  # type: ignore[return-value]
        except ValueError as error:  # for a host such as a..b, which cannot be looked up
            raise ArchiveStoppedError(
                f"{self._place()}: the request cannot be sent: {first_line(error)}. Check the host in the address"
            ) from error

    def _refusal(self, request: ArchiveRequest, status: int) -> ArchiveError:
        """Return the error for a status that another try would not change."""
        user, password, token, command = self._credentials.names
        where = self._place(request)
        if status == 401 and not self._credentials.are_given:
            return ArchiveStoppedError(f"{where}: requires a login (401). Set {user} and {password}, or {token}")
        if status == 401 and self._was_let_in:
            return ArchiveStoppedError(
                f"{where}: no longer accepts the login (401), probably because the token has expired. Set {token} to "
                f"a new token, or {command} to a command that prints one"
            )
        if status == 401:
            return ArchiveStoppedError(f"{where}: rejects the login (401). Check {user} or {token}")
        if status == 403:
            return ArchiveError(
                f"{where}: this user has no permission for the request (403). Ask the administrator of the archive"
            )
        if status == 404:
            hint = (
                ""
                if self._was_let_in
                else (". Check the path in the address: it is that of the DICOMweb services, /dicom-web for Orthanc")
            )
            return ArchiveError(f"{where}: was not found (404){hint}")
        return ArchiveError(f"{where}: the archive rejects the request ({status})")

    def _place(self, request: ArchiveRequest | None = None) -> str:
        return self.address.root + ("" if request is None else request.path)
