"""A Python client of the annotator, with prompts and masks as in the Python API of a model.

Only the standard library and NumPy are needed. The protocol is in docs/annotator-api.md.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from promise_seg.annotator.remote_image import ImageEntry, RemoteImage
from promise_seg.errors import PromiseError

ROOT = "/api/v1"
PATIENCE_SECONDS = 600.0
"""The default timeout of a response. The first response about an image waits for the encoder."""
_TRIES = 3
"""How often a request is sent if the connection breaks and sending it again does no harm."""


class RemoteError(PromiseError):
    """Raised if the annotator refuses a request or cannot be reached.

    Args:
        code: the code of the refusal, such as ``held``; ``unreachable`` if there was no answer.
        message: one sentence with the cause and the way out.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def connect(
    link: str, user: str | None = None, *, timeout: float = PATIENCE_SECONDS, tls: ssl.SSLContext | None = None
) -> "Client":
    """Open a session with an annotator.

    Args:
        link: an address that ``promise annotate`` prints, which can be used once. After each use, it prints another
            for the next browser or program.
        user: the name of the person; by default the name that the server uses for its own user.
        timeout: the longest time that an answer may take, in seconds.
        tls: an SSL context that trusts the certificate, if the system does not, for example
            ``ssl.create_default_context(cafile="certificate.pem")``.

    Raises:
        RemoteError: if the link is malformed or was used before, the certificate is not trusted, or there is no answer.
    """
    parts = urlsplit(link)
    token = parse_qs(parts.query).get("token", [""])[0]
    if parts.scheme not in ("http", "https") or not parts.hostname or not token:
        raise RemoteError(
            "malformed", f"{link!r} is not an address of an annotator. Give the one that promise annotate prints"
        )
    client = Client(f"{parts.scheme}://{parts.netloc}", user, timeout, tls)
    client._enter(token)
    return client


class Client:
    """A session with an annotator, as :func:`connect` returns it. Several threads may share it.

    Args:
        address: the scheme, host and port of the server.
        user: the name of the person.
        timeout: the longest time that an answer may take, in seconds.
        tls: an SSL context that trusts the certificate, if the system does not.
    """

    def __init__(self, address: str, user: str | None, timeout: float, tls: ssl.SSLContext | None) -> None:
        self.address, self.user, self.id = address, user, str(uuid4())
        self._parts, self._timeout, self._tls, self.cookie = urlsplit(address), timeout, tls, ""

    def _enter(self, token: str) -> None:
        try:
            status, headers, body = self._send("GET", f"/?token={token}", None)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        if status in (401, 403):
            raise RemoteError("no-session" if status == 401 else "foreign", body.decode("utf-8", "replace"))
        self.cookie = headers.get("set-cookie", "").partition(";")[0]
        if status != 200 or not self.cookie:
            raise _unexpected(status, body)

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        port = self._parts.port
        host = self._parts.hostname or ""
        if self._parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        headers = {"Host": self._parts.netloc, "Origin": self.address, "Cookie": self.cookie}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> RemoteError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return RemoteError(
                "unreachable", f"{self.address}: its certificate is not trusted: {error.verify_message}. Give connect "
                "tls=ssl.create_default_context(cafile=...) with the file of --tls-certificate, and the host that the "
                "certificate names",
            )  # fmt: skip
        return RemoteError(
            "unreachable", f"{self.address}: does not answer: {error}. Is promise annotate still running there?"
        )

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request of the HTTP API, and return the answer.

        If the connection breaks, requests that only read are sent again, as are actions, whose ids prevent that they
        are carried out twice. After a timeout, nothing is sent again.

        Args:
            method: the HTTP method.
            path: the path below ``/api/v1``.
            body: the body, which is sent as JSON.

        Raises:
            RemoteError: if the request is refused or there is no answer.
        """
        sent = None if body is None else json.dumps(body).encode()
        tries = _TRIES if method == "GET" or path.endswith("/actions") else 1
        for left in reversed(range(tries)):
            try:
                status, _, text = self._send(method, ROOT + path, sent)
                break
            except TimeoutError as error:
                raise RemoteError(
                    "unreachable", f"{self.address}: no answer within {self._timeout:g} s. What was asked for may "
                    "be done all the same: hold the image again to see, or give connect a longer timeout",
                ) from error  # fmt: skip
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise self._unreachable(error) from error
        return _answered(status, text)

    def project(self) -> dict[str, Any]:
        """Return the project's model, classes and limits, and the number of images by state."""
        return self.ask("GET", "/project")

    def images(self, order: Literal["trust", "name", "state"] = "trust") -> list[ImageEntry]:
        """Return the list of images; by default the image with the lowest trust score is first."""
        return [ImageEntry.of(entry) for entry in self.ask("GET", f"/images?order={order}")["images"]]

    def open(self, image: int, *, take: bool = False) -> RemoteImage:
        """Hold an image, and return it. A ``with`` statement releases it at its end.

        Args:
            image: the number of the image, ``id`` in :meth:`images`.
            take: hold the image even if another client holds it.

        Raises:
            RemoteError: with the code ``held`` if another client holds it.
        """
        return RemoteImage(self, image, take=take)

    def export(self) -> dict[str, Any]:
        """Write all accepted masks to a COCO file in the project's folder; return the file's name and its counts."""
        return self.ask("POST", "/export", {"format": "coco"})

    def train(self, *, anew: bool = False) -> dict[str, Any]:
        """Train on the accepted images in the background, or resume a training that was interrupted.

        Args:
            anew: begin a new training with the images that are accepted now, instead of resuming.
        """
        return self.ask("POST", "/training", {"anew": anew})

    def training(self) -> dict[str, Any]:
        """Return the state and progress of training, and the result of the last finished round."""
        return self.ask("GET", "/training")

    def stop_training(self) -> dict[str, Any]:
        """Stop the training. Finished epochs are kept."""
        return self.ask("DELETE", "/training", {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave the ``with`` statement; nothing has to be closed, because no connection is open between requests."""


def _answered(status: int, text: bytes) -> dict[str, Any]:
    """Return the JSON of a response, or raise the :class:`RemoteError` that it describes."""
    try:
        answer = json.loads(text)
        if status < 400 and isinstance(answer, dict):
            return answer
        error = answer["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        raise _unexpected(status, text) from None
    raise RemoteError(code, message)


def _unexpected(status: int, text: bytes) -> RemoteError:
    """Return the error for a response that is not as in docs/annotator-api.md."""
    words = text[:200].decode("utf-8", "replace")
    return RemoteError("failed", f"the annotator answered with status {status}: {words}")
