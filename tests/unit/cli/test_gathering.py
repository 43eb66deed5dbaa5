"""The notices of all processes, put together."""

from __future__ import annotations

import io
import json
import os
import socket
from typing import Any

import pytest
from rich.console import Console

from mysql_redis_cache.cli.drawing import screen
from mysql_redis_cache.cli.gathering import Gathered, gathered, rates
from mysql_redis_cache.cli.keyboard import Keyboard
from mysql_redis_cache.observe import QueryStats, Stats
from mysql_redis_cache.observe.reporting import QUERIES_SHARED, notice


def posted(*queries: QueryStats, **counts: Any) -> bytes:
    return json.dumps(notice("web", Stats(queries=queries, **counts))).encode()


def test_sums_are_of_all_processes() -> None:
    """Counts are added, the worst time is the worst of all, a label stands for its text."""
    one = posted(
        QueryStats("1" * 40, "SELECT\n 1", None, 5, 1, 1, 0, 0.5, 0.5), hits=5, misses=1, near_hits=2
    )
    two = posted(QueryStats("1" * 40, "SELECT\n 1", "one", 3, 1, 1, 0, 1.5, 1.5), hits=3, misses=1)

    found = gathered([one, two])

    assert found.clients == 2
    assert (found.counts["hits"], found.reads) == (8, 12)
    assert found.hit_ratio == pytest.approx(10 / 12)
    (line,) = found.lines("reads")
    assert (line.query, line.reads, line.mean, line.worst) == ("SELECT 1", 10, 1.0, 1.5)
    assert line.ratio == 0.8
    assert json.loads(json.dumps(found.as_dict()))["clients"] == 2


FOLLOWED: dict[str, Any] = {
    "leader": True,
    "lag": 1.25,
    "pending": 1234,
    "problem": "",
    "file": "bin.000003",
    "offset": 47,
    "events": 9,
    "transactions": 3,
    "values": 5,
    "wide": 2,
    "dropped": 4,
    "afresh": 1,
}


def test_followers_are_told_of_beside_the_clients() -> None:
    """The one that leads first; their counts are added up under names of their own."""
    waiting = {**FOLLOWED, "leader": False, "lag": None, "pending": None, "problem": "no Redis", "events": 1}
    notices = [
        json.dumps({"follower": "shop", "at": 7.0, "state": state}).encode() for state in (waiting, FOLLOWED)
    ]

    found = gathered([*notices, posted(hits=1)])

    assert (found.clients, found.counts["follow_events"], found.counts["events"]) == (1, 10, 0)
    assert [(each.name, each.line) for each in found.followers] == [
        ("shop", "leads, 1.2 s and 1,234 transactions behind, 5 drops exact, 2 wide, at bin.000003:47"),
        ("shop", "stands by, waits: no Redis"),
    ]
    assert json.loads(json.dumps(found.as_dict()))["followers"][0]["lag"] == 1.25
    assert gathered([json.dumps({"follower": "shop", "at": 7.0, "state": {}}).encode()]).followers == []


def test_a_label_of_another_kind_is_a_text() -> None:
    """Whoever wrote it: top filters and draws texts."""
    notice = json.loads(posted(QueryStats("1" * 40, "SELECT 1", None, 5, 1, 1, 0, 0.5, 0.5)))
    notice["queries"][0]["label"] = 7

    assert [line.query for line in gathered([json.dumps(notice).encode()]).lines("reads", "7")] == ["7"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b'{"counts": 1}', b'{"counts": {}, "at": "x"}'])
def test_what_is_no_notice_is_passed_over(text: bytes) -> None:
    """Another version, or somebody else, may have written it."""
    assert gathered([text, posted(hits=1)]).counts["hits"] == 1


def test_queries_are_sorted_and_searched() -> None:
    """The largest first, but the ratio: there the worst is of interest."""
    often = QueryStats("1" * 40, "SELECT often", None, 90, 10, 1, 0, 0.1, 0.1)
    slow = QueryStats("2" * 40, "SELECT slow", None, 0, 2, 2, 0, 8.0, 7.0)
    found = gathered([posted(often, slow)])

    assert [line.query for line in found.lines("reads")] == ["SELECT often", "SELECT slow"]
    for order in ("loads", "mean", "worst", "ratio"):
        assert [line.query for line in found.lines(order)] == ["SELECT slow", "SELECT often"]
    assert [line.query for line in found.lines("reads", "OFTEN")] == ["SELECT often"]


def test_a_notice_names_the_queries_that_matter() -> None:
    """The most read and the dearest, and of their texts so much that one knows them; no more."""
    queries = [
        QueryStats(f"{number:040}", "x" * 1000, hits=number, load_seconds=1 / (number + 1))
        for number in range(500)
    ]

    told = notice("web", Stats(queries=tuple(queries)))["queries"]

    assert len(told) == 2 * QUERIES_SHARED
    assert {each["sha1"] for each in told} >= {queries[0].sha1, queries[-1].sha1}
    assert len(json.dumps(told)) < 20_000


def test_rates_are_of_what_came_between() -> None:
    """A process that ended takes its counts along, which is no negative rate."""
    before, now = Gathered(), Gathered()
    before.counts.update(hits=100, loads=50)
    now.counts.update(hits=300, loads=10)

    each = rates(before, now, 2.0)

    assert (each["hits"], each["loads"]) == (100.0, 0.0)


def test_the_keys_of_top() -> None:
    """Orders, words to search for with corrections, the end."""
    keys = Keyboard("reads")
    for key in ("w", "/", "u", "s", "x", "\x7f", "e", "q", "\r", "z"):
        keys.take(key)

    assert (keys.order, keys.words, keys.is_over) == ("worst", "useq", False)
    assert "'useq'" in keys.prompt
    keys.take("/")
    assert keys.prompt == "/_"
    keys.take("\x1b")
    keys.take("p")
    assert keys.shows_processes
    assert "queries" in keys.prompt
    keys.take("p")
    assert not keys.shows_processes
    assert "processes" in keys.prompt
    keys.take("q")
    assert (keys.words, keys.is_over) == ("", True)


def test_processes_are_told_apart() -> None:
    """Each with its breaker, its pool and its near cache; the most read first."""
    quiet = posted(hits=1, redis_down=1, pool_size=5, pool_in_use=2, pool_idle=1, near_bytes=7)
    busy = posted(hits=3, misses=1, pool_size=10)

    found = gathered([quiet, busy])

    assert [each.reads for each in found.processes] == [4, 1]
    assert [each.redis_down for each in found.processes] == [False, True]
    assert (found.processes[0].client, found.processes[0].pid) == ("web", os.getpid())
    assert found.processes[0].hit_ratio == 0.75
    told = json.loads(json.dumps(found.as_dict()))["processes"][1]
    assert (told["pool_in_use"], told["pool_idle"], told["pool_size"], told["near_bytes"]) == (2, 1, 5, 7)


@pytest.mark.parametrize("shown", ["", "p"])
@pytest.mark.parametrize("processes", [1, 50])
@pytest.mark.parametrize("problem", ["", "Redis is not available: " + "x" * 100])
def test_the_picture_fits_80_by_24(shown: str, processes: int, problem: str) -> None:
    """However many there are of everything, and whatever their names are."""
    queries = [QueryStats(f"{number:040}", "SELECT " + "x" * 200, hits=10**9) for number in range(30)]
    notices = [
        posted(*queries, hits=10**12, redis_down=number % 2, pool_size=100, pool_in_use=50, near_bytes=10**9)
        for number in range(processes)
    ]
    now, keys = gathered(notices), Keyboard("reads")
    now.memory, now.max_memory = 10**12, 10**13
    for key in shown:
        keys.take(key)
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=True, record=True)

    each = dict.fromkeys(("hits", "near_hits", "misses", "unavailable", "loads", "drops"), 1000000000.0)
    console.print(
        screen(now, each, keys, "namespace shop in redis://cache.internal:6379/0", 24, problem=problem)
    )

    lines = console.export_text().splitlines()
    assert len(lines) <= 24
    assert all(len(line.rstrip()) <= 80 for line in lines)
    assert lines[-1].startswith("r h l m w sort")
    assert "of 10,000,000.0 MB" in lines[2]
    assert lines[3].startswith("MySQL: ")


def test_the_picture_names_open_breakers() -> None:
    """And what is not known is not invented: the memory of a Redis that does not tell it."""
    now = gathered([posted(hits=1, redis_down=1), posted(hits=1)])
    console = Console(width=80, file=io.StringIO(), record=True)

    console.print(screen(now, {}, Keyboard("reads"), "no namespace", 24))

    place = f"{socket.gethostname()}:{os.getpid()}"
    assert f"Redis: does not tell its memory, breaker open in 1 of 2: {place}"[:80] in console.export_text()
