"""When a follower is level with the server, and when it is not yet or not any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.binlog.events import Header
from mysql_redis_cache.binlog.files import Heartbeat, Rotate
from mysql_redis_cache.binlog.mariadb_gtids import MariaGtid
from mysql_redis_cache.binlog.transactions import Xid
from mysql_redis_cache.follow import progress
from mysql_redis_cache.follow.place import Position
from mysql_redis_cache.follow.planning import Planner
from mysql_redis_cache.follow.progress import Progress
from mysql_redis_cache.follow.rules import parse_rules
from mysql_redis_cache.follow.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.binlog import Event

HEADER = Header(0, 0, 1, 100, 0, 0)
ARTIFICIAL = Header(0, 0, 1, 100, 0, 0x20)
BEGINNING = Rotate(ARTIFICIAL, 4, "bin.000001")
OLD, NEW = "0-1-7", "0-1-9"


def transaction(number: int) -> list[Event]:
    return [MariaGtid(HEADER, 0, number, 0), Xid(HEADER, 1)]


class Lost(Exception):
    """The end of a stream."""


def lags(monkeypatch: pytest.MonkeyPatch, *received: list[Event]) -> list[float]:
    """Follow from ``OLD`` a server that has ``NEW``: the lag a second after each packet, and at the end."""
    now, found = [1000.0], list[float]()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    about = Progress("shop", 30.0, 30.0)

    def events() -> Iterator[Event]:
        for packet in received:
            now[0] += 1
            yield from packet
            found.append(about.lag)
        now[0] += 1
        raise Lost

    nothing: Any = SimpleNamespace(save=lambda _: None, confirm=lambda: None)
    source: Any = SimpleNamespace(
        is_mariadb=True,
        identity="a",
        logged=lambda: NEW,
        has_now=lambda _: True,
        count_missing=lambda _: 0,
        loses_commits=False,
    )
    stream: Any = SimpleNamespace(events=events, has_more=False)
    planner = Planner(parse_rules({"shop.orders": {"Id": "id"}}), {})
    session = Session(
        source,
        stream,
        nothing,
        planner,
        Position("a", "bin.000001", gtids=OLD),
        performing=nothing,
        ledger=nothing,
        progress=about,
        look=lambda: None,
    )
    with pytest.raises(Lost):
        session.run()
    return [*found, about.lag]


def test_who_has_not_followed_what_the_log_had_before_is_not_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nothing more of it has come yet: its first packets, or some from a slow disk, may come alone."""
    found = lags(monkeypatch, [BEGINNING], transaction(8), transaction(9), [BEGINNING], transaction(10))
    assert found == [1.0, 2.0, 0.0, 0.0, 0.0, 1.0]


def test_a_heartbeat_says_that_there_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that the server has and its log has not are none that a follower waits for."""
    beat = Heartbeat(ARTIFICIAL, "bin.000001", 4)
    assert lags(monkeypatch, [BEGINNING], [beat], transaction(8)) == [1.0, 0.0, 0.0, 1.0]
