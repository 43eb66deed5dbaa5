"""Which commands go to Redis over a proxy, and in how many round trips."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import hiredis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.proxy import Proxy

__all__ = ["commands", "recorded"]


@contextmanager
def recorded(proxy: Proxy) -> Iterator[list[list[bytes]]]:
    """Collect the commands that pass *proxy* during the block, on one connection at a time."""
    seen: list[list[bytes]] = []
    reader = hiredis.Reader()

    def note(data: bytes) -> bytes:
        reader.feed(data)
        while (command := reader.gets()) is not False:
            seen.append(command)
        return data

    proxy.corrupt(note, "requests")
    yield seen
    proxy.corrupt(None, "requests")


def commands(seen: list[list[bytes]]) -> list[str]:
    """The names of recorded commands."""
    return [command[0].decode() for command in seen]
