"""Leases: only one client, a browser tab or a program, can change an image at a time."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from promise_seg.annotator.refusals import Refusal

LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Lease:
    """The right of one client to change an image.

    Args:
        client: the id of the browser tab or program.
        user: the name of the person.
        since: the time at which the lease was taken, in UTC.
        ends: the time at which the lease ends unless it is extended, in seconds of the clock of :class:`Leases`.
    """

    client: str
    user: str
    since: str
    ends: float

    def as_json(self) -> dict[str, str]:
        """Return the holder of the lease as JSON for other clients."""
        return {"user": self.user, "since": self.since}


class Leases:
    """The leases of all images. They are kept in memory; after a restart of the server, each client asks again.

    Args:
        clock: returns a monotonic time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._held: dict[int, Lease] = {}

    def holder(self, image: int) -> Lease | None:
        """Return the current lease of an image; ``None`` if nobody holds the image."""
        with self._lock:
            return self._holder(image)

    def _holder(self, image: int) -> Lease | None:
        lease = self._held.get(image)
        return lease if lease is not None and lease.ends > self._clock() else None

    def take(self, image: int, client: str, user: str, *, by_force: bool = False) -> None:
        """Give the lease of an image to a client, or extend it.

        Raises:
            Refusal: if another client holds the image and ``by_force`` is not set.
        """
        with self._lock:
            held = self._holder(image)
            if held is not None and held.client != client and not by_force:
                raise Refusal(
                    409, "held", f"{held.user} has had this image open since {held.since}. Wait, or take it over",
                    holder=held.as_json(),
                )  # fmt: skip
            since = datetime.now(UTC).isoformat(timespec="seconds")
            if held is not None and held.client == client:
                since = held.since
            self._held[image] = Lease(client, user, since, self._clock() + LEASE_SECONDS)

    def check(self, image: int, client: str) -> Lease:
        """Extend the lease of a client and return it, even after it has ended, unless another client took the image.

        Raises:
            Refusal: if the client does not hold the image.
        """
        with self._lock:
            held = self._held.get(image)
            if held is None or held.client != client:
                by = "" if held is None else f": {held.user} has it"
                raise Refusal(409, "not-held", f"This image is not held by this tab any more{by}. Open it again")
            self._held[image] = replace(held, ends=self._clock() + LEASE_SECONDS)
            return held

    def give_back(self, image: int, client: str) -> None:
        """End the lease of an image if this client holds it."""
        with self._lock:
            held = self._held.get(image)
            if held is not None and held.client == client:
                del self._held[image]
