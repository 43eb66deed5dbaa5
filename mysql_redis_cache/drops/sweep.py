"""Two walks over all keys: one to revoke leases, one to delete entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.store import Moved, Refused, Silent

from .finder import Finder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mysql_redis_cache.keys import Matcher
    from mysql_redis_cache.store import Link, Part, Pinned

    from .budget import Budget

__all__ = ["SCAN_COUNT", "Sweep", "await_replicas", "checked", "scan"]

SCAN_COUNT = 2000
# Two of them are the beginning and the end of one slot's migration.
RESTARTS = 5


class Sweep:
    """Both walks, for several drops at once.

    Args:
        link: the way to Redis.
        matchers: those of the drops.
        budget: the time they may take.
        place: which of the drops that is the time of, and whose count its error tells.
        replicas: how many replicas must have the deletions.
    """

    def __init__(
        self, link: Link, matchers: Sequence[Matcher], budget: Budget, place: int = 0, *, replicas: int = 0
    ) -> None:
        self._link = link
        self._finder = Finder(matchers)
        self._budget = budget
        self._place = place
        self._replicas = replicas
        self._counts = [0] * len(matchers)
        patterns = {matcher.pattern for matcher in matchers}
        self._pattern = patterns.pop() if len(patterns) == 1 else b"*=*"

    def run(self) -> list[int]:
        """Walk; return how many entries each drop deleted.

        Raises:
            CacheUnavailable: Redis could not be reached, or keys kept moving within the cluster.
            DropTimeout: the time is over.
        """
        for _ in range(RESTARTS):
            parts, claims = self._link.parts()
            if self._both_walks(parts) and self._link.parts()[1] == claims:
                return self._counts
        raise CacheUnavailable(
            "keys of the Redis Cluster kept moving while they were looked for; repeat the drop later"
        )

    def _both_walks(self, parts: Sequence[Part]) -> bool:
        """Return whether both walks met every key where it belongs."""
        try:
            for part in parts:
                self._walk(part, "pass 1 of 2, revoking leases", self._finder.lease, counted=False)
            for part in parts:
                self._walk(part, "pass 2 of 2, deleting entries", self._finder.entry, counted=True)
        except Moved:
            return False
        return True

    def _walk(self, part: Part, stage: str, owner: Callable[[bytes], int | None], *, counted: bool) -> None:
        """Walk a server over one connection; a replaced one means a new cursor, so the walk starts over."""
        for attempt in range(1, RESTARTS + 1):
            begun = False
            try:
                with part.server.pinned() as pinned:
                    begun = True
                    for names in scan(pinned, self._pattern, self._budget, stage, self._dropped):
                        self._unlink(pinned, names, owner, counted=counted)
                    await_replicas(pinned, part, self._replicas, self._budget, self._dropped())
                    return
            except (Refused, Silent, DropTimeout):
                raise
            except CacheUnavailable:
                if not begun or attempt == RESTARTS:
                    raise

    def _unlink(
        self, pinned: Pinned, names: Sequence[bytes], owner: Callable[[bytes], int | None], *, counted: bool
    ) -> None:
        owned = [(name, place) for name in names if (place := owner(name)) is not None]
        if not owned:
            return
        replies = pinned.calls([(b"UNLINK", name) for name, _ in owned])
        for (name, place), reply in zip(owned, replies, strict=True):
            # A key whose slot is under way is deleted wherever it is by now.
            gone = self._link.call(b"UNLINK", name) if isinstance(reply, Moved) else checked([reply])[0]
            self._counts[place] += gone if counted else 0

    def _dropped(self) -> int:
        return self._counts[self._place]


def scan(
    pinned: Pinned, pattern: bytes, budget: Budget, stage: str, dropped: Callable[[], int]
) -> Iterator[list[bytes]]:
    """Walk all keys of a server that match *pattern*, a batch at a time."""
    cursor = b"0"
    while True:
        budget.check(stage, dropped())
        cursor, names = pinned.call(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", SCAN_COUNT)
        yield names
        if cursor == b"0":
            return


def await_replicas(pinned: Pinned, part: Part, wanted: int, budget: Budget, dropped: int) -> None:
    """Wait until *wanted* replicas have all that has been deleted, over whichever connection.

    WAIT counts the replicas that have what its own connection wrote last. So it writes something: an earlier
    connection, or an earlier drop that did not see the end of it, may have done the deleting.
    """
    if not wanted:
        return
    if part.key:
        pinned.call(b"SET", part.key, b"", b"PX", 1)
    while pinned.call(b"WAIT", wanted, _patience(part, budget)) < wanted:
        budget.check(f"waiting for {wanted} replica(s)", dropped)


def _patience(part: Part, budget: Budget) -> int:
    """Return for how many milliseconds to wait: not as long as for a dead server, and not for ever (0)."""
    return max(1, int(1000 * min(part.server.timeout / 2, budget.left())))


def checked(replies: list[Any]) -> list[Any]:
    """Return *replies* if no command was refused; raise the first refusal."""
    for reply in replies:
        if isinstance(reply, Refused):
            raise reply
    return replies
