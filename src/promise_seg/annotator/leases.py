"""Leases: each image is held by one tab of one person at a time."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from promise_seg.annotator.refusals import Refusal

LEASE_SECONDS = 60.0


@dataclass(frozen=True)
class Lease:
    """The right of one tab to change an image.

    Args:
        client: what the tab calls itself.
        user: the name of the person.
        since: when it was taken.
        ends: when it ends unless it is prolonged, by the clock of the leases.
    """

    client: str
    user: str
    since: str
    ends: float

    def as_json(self) -> dict[str, str]:
        """Return what others are told."""
        return {"user": self.user, "since": self.since}


class Leases:
    """The leases of all images. They live as long as the server: after a restart each tab asks again.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._held: dict[int, Lease] = {}

    def holder(self, image: int) -> Lease | None:
        """Return who holds an image now."""
        with self._lock:
            return self._holder(image)

    def _holder(self, image: int) -> Lease | None:
        lease = self._held.get(image)
        return lease if lease is not None and lease.ends > self._clock() else None

    def take(self, image: int, client: str, user: str, *, by_force: bool = False) -> None:
        """Take an image, or hold it for longer.

        Raises:
            Refusal: if somebody else holds it, unless it is taken by force.
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
        """Return the lease of a client, prolonged; one that ended is, too, if nobody else took the image meanwhile.

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
        """Let an image go, if this client holds it."""
        with self._lock:
            held = self._held.get(image)
            if held is not None and held.client == client:
                del self._held[image]
