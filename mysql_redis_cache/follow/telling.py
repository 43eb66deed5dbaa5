"""What a follower tells those who watch all processes: its state, posted in Redis every few seconds."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mysql_redis_cache.errors import CacheUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mysql_redis_cache.store import Noticeboard

__all__ = ["Telling"]

EVERY = 2.0
_PATIENCE = 10.0


class Telling:
    """Posts the state of one follower.

    Args:
        name: the follower's.
        state: returns it, in types that JSON has.
        board: where notices are posted.
    """

    def __init__(self, name: str, state: Callable[[], dict[str, Any]], board: Noticeboard) -> None:
        self._name, self._state, self._board = name, state, board
        self._own_name = f"follow:{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._over = threading.Event()

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Post within the block, by a thread."""
        self._over.clear()
        thread = threading.Thread(target=self._repeat, name="mrc-follow-notice", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(_PATIENCE)

    def _repeat(self) -> None:
        while True:
            with suppress(CacheUnavailable):  # who watches has no answer either
                self.post()
            if self._over.wait(EVERY):
                return

    def post(self) -> None:
        """Post it now.

        Raises:
            CacheUnavailable: Redis did not take it.
        """
        state = self._state()
        state.pop("gtids", None)  # as long as a server is old
        notice = {"follower": self._name, "pid": os.getpid(), "at": time.time(), "state": state}
        self._board.post(self._own_name, json.dumps(notice).encode())
