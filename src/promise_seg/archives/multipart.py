"""Multipart answers and requests (``multipart/related``); answers are read as a stream to keep memory use small."""

import secrets
from collections.abc import Iterable, Iterator
from email.message import Message

from promise_seg.archives.errors import ArchiveError

_MOST_HEADERS = 1 << 16


def boundary_of(content_type: str) -> bytes:
    """Return the boundary between the parts of an answer.

    Raises:
        ArchiveError: if the content type is not ``multipart/related`` with a boundary.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise ArchiveError(
            f"the answer has the content type {content_type.split(';')[0] or '(none)'}; expected multipart/related "
            "with DICOM files"
        )
    return boundary.encode()


class Parts:
    """Iterator over the parts of an answer, each an iterator over its pieces.

    Advancing to the next part skips the rest of the current one.

    Args:
        chunks: the bytes of the answer.
        boundary: the boundary between its parts.
    """

    def __init__(self, chunks: Iterable[bytes], boundary: bytes) -> None:
        self._chunks, self._mark = iter(chunks), b"\r\n--" + boundary
        self._held = b"\r\n"  # as the first boundary may be at the very beginning
        self.is_complete = False
        """Whether the closing boundary was read; it is missing if the connection broke off."""

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of each part without its headers; stop early if the answer ends early."""
        for _ in self._until(self._mark):
            pass
        while self._follows_a_part():
            if not self._skip_headers():
                return
            part = self._until(self._mark)
            yield part
            for _ in part:
                pass

    def _follows_a_part(self) -> bool:
        """Whether a part follows a boundary: two dashes mark the end of the answer, a line break another part."""
        while len(self._held) < 2 and self._more():
            pass
        self.is_complete = self._held.startswith(b"--")
        return len(self._held) >= 2 and not self.is_complete

    def _skip_headers(self) -> bool:
        read = 0
        for piece in self._until(b"\r\n\r\n"):
            read += len(piece)
            if read > _MOST_HEADERS:
                raise ArchiveError(
                    f"the answer has a part whose header does not end within {_MOST_HEADERS:,} bytes; expected "
                    "multipart/related with DICOM files"
                )
        return self._ended

    def _until(self, mark: bytes) -> Iterator[bytes]:
        """Yield the bytes before a mark, and drop the mark. Afterwards, ``_ended`` is whether the mark was found."""
        self._ended = False
        while True:
            at = self._held.find(mark)
            if at >= 0:
                found, self._held, self._ended = self._held[:at], self._held[at + len(mark) :], True
                if found:
                    yield found
                return
            safe = len(self._held) - len(mark) + 1
            if safe > 0:
                found, self._held = self._held[:safe], self._held[safe:]
                yield found
            if not self._more():
                return

    def _more(self) -> bool:
        chunk = next(self._chunks, b"")
        self._held += chunk
        return bool(chunk)

    @property
    def part_is_complete(self) -> bool:
        """Whether the part that was read last is complete."""
        return self._ended


def one_part(content: bytes) -> tuple[bytes, str]:
    """Return the body of a request that contains a single DICOM file, and the content type of the body."""
    boundary = secrets.token_hex(16)
    while boundary.encode() in content:
        boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return head + content + f"\r\n--{boundary}--\r\n".encode(), kind
