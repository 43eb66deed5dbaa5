"""What can be seen of a client or a server while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mysql_redis_cache.observe import Events, Stats, Watch

__all__ = ["Watched"]


class Watched:
    """Counts and events, the same from an event loop."""

    def _observed(self) -> Watch:
        """Return who watches it."""
        raise NotImplementedError

    @property
    def events(self) -> Events:
        """What happens, for those who ``subscribe``."""
        return self._observed().events

    def stats(self) -> Stats:
        """Return what was counted since it was made, or since the process was forked."""
        return self._observed().stats()
