"""Two walks over all keys: one to revoke leases, one to delete entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.keys import LEASE, Finder
from mysql_redis_cache.store import Moved, Refused, Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mysql_redis_cache.keys import Sought
    from mysql_redis_cache.store import Link, Part, Pinned

    from .budget import Budget

    Choose = Callable[[list[bytes]], list[tuple[bytes, int]]]

__all__ = ["SCAN_COUNT", "Sweep", "await_replicas", "checked", "scan"]

SCAN_COUNT = 2000
REVOKING = "pass 1 of 2, revoking leases"
DELETING = "pass 2 of 2, deleting entries"
# Two of them are the beginning and the end of one slot's migration.
RESTARTS = 5


class Sweep:
    """Both walks, for several drops at once.

    Args:
        link: the way to Redis.
        drops: what each of them is for.
        counts: how many entries of each are deleted, to be added to.
        budget: the time they may take.
        place: which of the drops that is the time of, and whose count its error tells.
        replicas: how many replicas must have the deletions.
    """

    def __init__(
        self,
        link: Link,
        drops: Sequence[Sequence[Sought]],
        counts: list[int],
        budget: Budget,
        *,
        place: int,
        replicas: int,
    ) -> None:
        self._link = link
        self._finder = Finder(drops)
        self._budget = budget
        self._place = place
        self._replicas = replicas
        self._counts = counts

    def run(self) -> None:
        """Walk.

        Raises:
            CacheUnavailable: Redis could not be reached, or keys kept moving within the cluster.
            DropTimeout: the time is over.
        """
        for _ in range(RESTARTS):
            parts, claims = self._link.parts(self._budget.left)
            if self._both_walks(parts) and self._link.parts(self._budget.left)[1] == claims:
                return
        raise CacheUnavailable(
            "keys of the Redis Cluster kept moving while they were looked for; repeat the drop later"
        )

    def _both_walks(self, parts: Sequence[Part]) -> bool:
        """Return whether both walks met every key where it belongs."""
        finder = self._finder
        try:
            for part in parts:
                self._walk(part, REVOKING, finder.pattern + LEASE, finder.leases, counted=False)
            for part in parts:
                self._walk(part, DELETING, finder.pattern, finder.entries, counted=True)
        except Moved:
            return False
        return True

    def _walk(self, part: Part, stage: str, pattern: bytes, choose: Choose, *, counted: bool) -> None:
        """Walk a server over one connection; a replaced one means a new cursor, so the walk starts over."""
        for attempt in range(1, RESTARTS + 1):
            begun = False
            self._budget.check(stage, self._dropped())
            try:
                with part.server.pinned(self._budget.left) as pinned:
                    begun = True
                    for names in scan(pinned, pattern, self._budget, stage, self._dropped):
                        self._unlink(pinned, choose(names), counted=counted)
                    await_replicas(pinned, part, self._replicas, self._budget, self._dropped())
                    return
            except (Refused, Silent, DropTimeout):
                raise
            except CacheUnavailable:
                if not begun or attempt == RESTARTS:
                    raise

    def _unlink(self, pinned: Pinned, chosen: Sequence[tuple[bytes, int]], *, counted: bool) -> None:
        if not chosen:
            return
        replies = pinned.calls([(b"UNLINK", name) for name, _ in chosen])
        for (name, place), reply in zip(chosen, replies, strict=True):
            # A key whose slot is under way is deleted wherever it is by now.
            gone = self._link.call(b"UNLINK", name) if isinstance(reply, Moved) else checked([reply])[0]
            self._counts[place] += gone if counted else 0

    def _dropped(self) -> int:
        return self._counts[self._place]


def scan(
    pinned: Pinned, pattern: bytes, budget: Budget, stage: str, dropped: Callable[[], int]
) -> Iterator[list[bytes]]:
    """Walk all keys of a server that match *pattern*, a batch at a time.

    While a batch is looked at the server is looking for the next one.
    """
    pinned.send(b"SCAN", b"0", b"MATCH", pattern, b"COUNT", SCAN_COUNT)
    while True:
        cursor, names = pinned.receive()
        budget.check(stage, dropped())
        if cursor != b"0":
            pinned.send(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", SCAN_COUNT)
        yield names
        if cursor == b"0":
            return


def await_replicas(pinned: Pinned, part: Part, wanted: int, budget: Budget, dropped: int = 0) -> None:
    """Wait until *wanted* replicas have all that has been deleted, over whichever connection.

    WAIT counts the replicas that have what its own connection wrote last. So it writes something: an earlier
    connection, or an earlier drop that did not see the end of it, may have done the deleting.
    """
    if not wanted:
        return
    stage = f"waiting for {wanted} replica(s)"
    budget.check(stage, dropped)
    if part.key:
        pinned.call(b"SET", part.key, b"", b"PX", 1)
    while pinned.call(b"WAIT", wanted, _patience(part, budget)) < wanted:
        budget.check(stage, dropped)


def _patience(part: Part, budget: Budget) -> int:
    """Return for how many milliseconds to wait: not as long as for a dead server, and not for ever (0)."""
    return max(1, int(1000 * min(part.server.timeout / 2, 0.8 * budget.left())))


def checked(replies: list[Any]) -> list[Any]:
    """Return *replies* if no command was refused; raise the first refusal."""
    for reply in replies:
        if isinstance(reply, Refused):
            raise reply
    return replies
