"""What can be seen of a client or a server while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mysql_redis_cache.observe import Events, Stats, Watch

__all__ = ["Watched", "watch_of"]


class Watched:
    """Counts and events, the same from an event loop."""

    def _observed(self) -> Watch:
        """Return who watches it."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What figures and events call it."""
        return self._observed().name

    @property
    def events(self) -> Events:
        """What happens, for those who ``subscribe``."""
        return self._observed().events

    def stats(self) -> Stats:
        """Return what was counted since it was made, or since the process was forked."""
        return self._observed().stats()


def watch_of(source: Any) -> Watch:
    """Return who watches a client or server, for those who export its figures.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(source, Watched):
        raise TypeError(f"this must be an MRCClient or MRCServer, or the like, not {type(source).__name__}")
    return source._observed()  # noqa: SLF001 - it is of this module
