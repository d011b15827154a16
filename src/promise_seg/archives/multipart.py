"""Answers and requests of several parts (``multipart/related``), read as they come so that memory stays small."""

import secrets
from collections.abc import Iterable, Iterator
from email.message import Message

from promise_seg.archives.errors import ArchiveError

_MOST_HEADERS = 1 << 16


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the parts of an answer.

    Raises:
        ArchiveError: if it is not an answer of several parts.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise ArchiveError(
            f"answers with {content_type.split(';')[0] or 'no type'}; expected multipart/related with DICOM files"
        )
    return boundary.encode()


class Parts:
    """The parts of an answer, each as its pieces: a part must be read to its end before the next is asked for.

    Args:
        chunks: the bytes of the answer.
        boundary: what stands between its parts.
    """

    def __init__(self, chunks: Iterable[bytes], boundary: bytes) -> None:
        self._chunks, self._mark = iter(chunks), b"\r\n--" + boundary
        self._held = b"\r\n"  # as the first mark may be at the very beginning
        self.is_complete = False
        """Whether the answer came to its end, which a connection that broke off does not."""

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of each part without its headers; ends early if the answer breaks off."""
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
        """Read what is behind a mark: two dashes at the end of the answer, the end of a line before a part."""
        while len(self._held) < 2 and self._more():
            pass
        self.is_complete = self._held.startswith(b"--")
        return len(self._held) >= 2 and not self.is_complete

    def _skip_headers(self) -> bool:
        read = 0
        for piece in self._until(b"\r\n\r\n"):
            read += len(piece)
            if read > _MOST_HEADERS:
                raise ArchiveError("answers with parts that do not begin as parts do")
        return self._ended

    def _until(self, mark: bytes) -> Iterator[bytes]:
        """Yield what comes before a mark, and drop the mark. ``_ended`` says afterwards whether it came."""
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
        """Whether the part that was read last came to its end."""
        return self._ended


def one_part(content: bytes) -> tuple[bytes, str]:
    """Return the body of a request with one DICOM file, and its content type."""
    boundary = secrets.token_hex(16)
    while boundary.encode() in content:
        boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return head + content + f"\r\n--{boundary}--\r\n".encode(), kind
