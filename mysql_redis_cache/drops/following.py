"""Drops that follow a write: performed once it is committed, and told what to do about if they fail.

What strikes between a COMMIT and the end of its drops, as a signal's exception does (Ctrl-C, the soft time
limit of a task queue), leaves them to a thread: lost, they would leave outdated entries for their ttl.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from mysql_redis_cache.errors import CacheUnavailable, DropTimeout, InvalidationFailed
from mysql_redis_cache.keys import as_json

from .budget import Budget
from .dropping import DROP_TIMEOUT

if TYPE_CHECKING:
    from mysql_redis_cache.keys import Namespace, Wanted

    from .dropping import Drops

__all__ = ["Following"]

logger = logging.getLogger("mysql_redis_cache.drops")


class Following:
    """The drops of one write.

    Args:
        drops: performs them; ``None`` without a cache.
        namespace: whose entries they are for.

    Attributes:
        namespace: as given.
    """

    def __init__(self, drops: Drops | None, namespace: Namespace) -> None:
        self._drops = drops
        self.namespace = namespace
        self._wanted: list[Wanted] = []

    def want(self, *wanted: Wanted) -> None:
        """Have these performed, too."""
        self._wanted += wanted

    def take_over(self, other: Following) -> None:
        """Have those of *other* performed with these."""
        self._wanted += other._wanted

    def run(self, committed: bool | None) -> int:
        """Perform those that have not happened yet, as one drop; return how many entries were deleted.

        Args:
            committed: whether the write is, ``None`` if that is unknown: for the error.

        Raises:
            InvalidationFailed: Redis could not be reached, or not within ``DROP_TIMEOUT``.
        """
        wanted = tuple(self._wanted)
        if not wanted or self._drops is None:
            return 0
        try:
            dropped = self._drops.perform(wanted, Budget(DROP_TIMEOUT))
        except (CacheUnavailable, DropTimeout) as error:
            raise InvalidationFailed(
                committed,
                [as_json(one) for one in wanted],
                lambda: self.run(committed),
                namespace=self.namespace.prefix[:-1] or None,
                timeout=DROP_TIMEOUT,
            ) from error
        del self._wanted[: len(wanted)]
        return dropped

    def run_behind(self, error: BaseException, committed: bool | None) -> None:
        """Perform them in a thread, for whose end the program waits: *error* struck in their midst."""
        if not self._wanted or self._drops is None:
            return
        text = "the write is committed, or may be: the drops that follow it go on in a thread"
        error.add_note(text)
        logger.warning("%s; %s struck before they had ended", text, type(error).__name__)
        run = threading.Thread(target=self._run_alone, args=[committed], name="mysql_redis_cache-drops")
        run.daemon = False  # whatever started it
        try:
            run.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._run_alone(committed)

    def _run_alone(self, committed: bool | None) -> None:
        try:
            self.run(committed)
        except Exception:
            logger.exception("drops that went on after a write failed; outdated entries may remain")
