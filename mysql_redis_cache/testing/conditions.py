"""What tests put an application under: no cache, no Redis, time that has passed."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn

from mysql_redis_cache import near
from mysql_redis_cache.drops import Budget
from mysql_redis_cache.drops.sweep import scan
from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.keys import Finder, Whole
from mysql_redis_cache.policy import seconds as seconds_of

from .faces import core_of, links_of, prefix_of, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from mysql_redis_cache.store import Pinned

    from .faces import Client, Face

__all__ = ["disabled", "elapse", "unavailable"]

STAGE = "shortening what entries have left"
PATIENCE = 60.0

CALLS = ("call", "calls", "script", "scripts", "get_many", "pinned", "parts", "part_of", "dial")


@contextmanager
def disabled(*clients: Client) -> Iterator[None]:
    """Have clients neither read nor fill the cache, for the block, whichever thread or task asks.

    As ``client.disabled()``, which is for the thread or task that calls it.
    """
    with ExitStack() as stack:
        for client in clients:
            core = core_of(client)
            if core is None:
                raise TypeError("a server reads nothing; disabled() is for clients")
            stack.enter_context(core.disabled_everywhere())
        yield


@contextmanager
def unavailable(*faces: Face) -> Iterator[None]:
    """Have Redis be away for clients and servers, for the block: whatever is asked of it fails at once.

    Reads go to MySQL; drops and ``write_to_cache`` raise ``CacheUnavailable``. At the end Redis is asked
    again as if nothing had been.
    """
    with ExitStack() as stack:
        for face in faces:
            stack.callback(_ask_again, face)  # once nothing is cut off any more
        for face in faces:
            _cut_off(face, stack)
        yield


def elapse(face: Face, seconds: float | timedelta) -> int:
    """Have the entries of a namespace be older: take some time off what each has left.

    Redis has a clock of its own, which nothing in the test can set.

    Args:
        face: a client or server; the entries are those of its namespace, of any client.
        seconds: how much (or a timedelta). Entries live for their ttl ± 10 %.

    Returns:
        how many entries are over by that.

    Raises:
        CacheUnavailable: Redis could not be reached.
    """
    milliseconds = round(seconds_of("seconds", seconds) * 1000)
    finder = Finder([[Whole(prefix_of(face))]])
    links, budget = links_of(face), Budget(PATIENCE)
    over = 0
    for part in links[-1].parts(budget.left)[0] if links else ():
        with budget.bounding(), part.server.pinned(budget.left) as pinned:
            for names in scan(pinned, finder.pattern, budget, STAGE, lambda: 0):
                over += _aged(pinned, [name for name, _ in finder.entries(names)], milliseconds)
    return over


def _aged(pinned: Pinned, entries: list[bytes], milliseconds: int) -> int:
    lefts = pinned.calls([(b"PTTL", name) for name in entries]) if entries else []
    shorter = [
        (b"PEXPIRE", name, max(0, left - milliseconds))
        for name, left in zip(entries, lefts, strict=True)
        if left > 0
    ]
    if shorter:
        pinned.calls(shorter)
    near.forget(entries)
    return sum(not left for *_, left in shorter)


def _cut_off(face: Face, stack: ExitStack) -> None:
    for link in links_of(face):
        for name in CALLS:
            if hasattr(link, name):
                stack.enter_context(replaced(link, name, _away))
    core = core_of(face)
    if core is not None and core.nearby is not None:  # nothing is served from here without Redis's pushes
        stack.enter_context(replaced(core.nearby.near, "get", _nothing))


def _ask_again(face: Face) -> None:
    core = core_of(face)
    if core is not None and core.cache is not None:
        core.cache.ask_again()


def _away(*_: object, **__: object) -> NoReturn:
    raise CacheUnavailable("Redis is not available: this test has it away, by unavailable()")


def _nothing(*_: object) -> None:
    """Keep nothing."""
