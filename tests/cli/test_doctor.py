"""``mrc doctor``: what is wrong is found, on servers that are wrong in that way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import MRCClient
from mysql_redis_cache.cli.findings import Finding, Level, clock, latency, version_of
from tests.support.populating import entry, fill_users, lease
from tests.support.terminals import in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from tools.private_servers import PrivateRedis

    Examine = Callable[..., tuple[int, dict[str, list[dict[str, Any]]]]]


@pytest.fixture
def examine(run: Callable[..., Result]) -> Examine:
    """Run it; return its exit code and its findings by what they are about."""

    def examine(*arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        result = run("doctor", "--json", *arguments)
        found: dict[str, list[dict[str, Any]]] = {}
        for one in json.loads(result.stdout)["findings"]:
            found.setdefault(one["about"], []).append(one)
        return result.exit_code, found

    return examine


def levels(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {about: ones[0]["level"] for about, ones in found.items()}


@pytest.mark.real
def test_both_servers_are_looked_at(examine: Examine, redis_client: redis.Redis) -> None:
    """Each topic has its line, whatever was found, and nothing is left behind."""
    code, found = examine()

    assert code in {0, 6}  # by whether this Redis has a maxmemory
    assert {
        f"{server} {topic}" for server in ("Redis", "MySQL") for topic in ("version", "latency", "clock")
    } <= set(found)
    assert {"Redis memory", "Redis rights", "keys", "leases", "MySQL TLS", "MySQL binary log"} <= set(found)
    assert "error" not in levels(found).values()
    assert redis_client.dbsize() == 0


def test_memory_and_persistence_are_judged(
    examine: Examine, private_redis: Callable[..., PrivateRedis]
) -> None:
    """A cache with a bound and nothing on disk is well; each other way has the line to change."""
    good = private_redis("--maxmemory", "50mb", "--maxmemory-policy", "volatile-ttl")
    bad = private_redis("--appendonly", "yes")

    code, found = examine("--redis", good.url)
    assert (code, levels(found)["Redis memory"], levels(found)["Redis persistence"]) == (0, "ok", "ok")
    code, found = examine("--redis", bad.url)
    assert (code, found["Redis memory"][0]["level"]) == (6, "warning")
    assert "volatile-ttl" in found["Redis memory"][0]["advice"]
    assert "appendonly no" in found["Redis persistence"][0]["advice"]
    with redis.Redis.from_url(bad.url, socket_timeout=10) as admin:
        admin.config_set("maxmemory", "50mb", "maxmemory-policy", "allkeys-lru")
        memory = examine("--redis", bad.url)[1]["Redis memory"][0]
        assert memory["level"] == "ok"
        assert "near caches with strict=True stay off" in str(memory)
        assert levels(examine("--redis", bad.url, "--index")[1])["Redis memory"] == "note"
        admin.config_set("maxmemory-policy", "noeviction")
        assert levels(examine("--redis", bad.url)[1])["Redis memory"] == "note"


def test_a_replica_is_an_error(examine: Examine, private_redis: Callable[..., PrivateRedis]) -> None:
    """It serves what was dropped; the primary's replicas are a note."""
    primary, replica = private_redis(), private_redis()
    with redis.Redis.from_url(replica.url, socket_timeout=10) as admin:
        admin.replicaof("127.0.0.1", primary.port)
        while not redis.Redis.from_url(primary.url).info("replication")["connected_slaves"]:
            pass

    code, found = examine("--redis", replica.url)
    assert (code, levels(found)["Redis role"], levels(found)["Redis rights"]) == (7, "error", "error")
    assert levels(examine("--redis", primary.url)[1])["Redis replicas"] == "note"


@pytest.mark.parametrize(
    ("missing", "step"),
    [
        ("scan", "dropping pairs"),
        ("evalsha", "taking a lease"),
        ("get", "reading"),
        ("unlink", "dropping one"),
    ],
)
def test_missing_rights_are_found_by_trying(
    examine: Examine, private_redis: Callable[..., PrivateRedis], missing: str, step: str
) -> None:
    """The step that needs it is named, and the command; the password is in no finding."""
    server = private_redis()
    with redis.Redis.from_url(server.url, socket_timeout=10) as admin:
        rights = ["+@all", f"-{missing}"]
        admin.acl_setuser("cache", enabled=True, passwords=["+s3cret"], keys=["*"], commands=rights)

    code, found = examine("--redis", server.url.replace("redis://", "redis://cache:s3cret@"))
    assert (code, levels(found)["Redis rights"]) == (7, "error")
    assert any(
        one["text"].startswith(f"{step}: ") and missing in one["text"] for one in found["Redis rights"]
    )
    assert "s3cret" not in json.dumps(found)


@pytest.mark.real
def test_what_others_left_is_found(examine: Examine, redis_client: redis.Redis) -> None:
    """Leases and entries without an end, and dates as Node writes them."""
    fill_users(redis_client, range(3))
    redis_client.set(lease(entry(9)), "token")
    redis_client.set(entry(8), '[{"at":"2025-12-23T10:30:00.000Z"}]', ex=100)

    code, found = examine()
    assert code == 6
    assert found["leases"][0]["text"].startswith("1 of 1 have no end")
    assert found["entries"][0]["text"] == "3 entries have no end"
    assert levels(found)["other writers"] == "note"
    assert "of all 5 keys 4 are entries here, 0 are not" in found["keys"][0]["text"]


@pytest.mark.real
def test_an_index_that_misses_entries_is_found(
    examine: Examine, mysql_url: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """Entries that are in no set, and leave no mark, are not found by drops: those of the npm package."""
    with MRCClient(mysql_url, f"{redis_url}?socket_timeout=10", index=True) as client:
        client.query_with_cache("SELECT ? AS id", [1], ["UserId"])
        client.drop_outdated_cache(["UserId"], [2])
        assert levels(examine("--index")[1])["index"] == "ok"
        redis_client.set(entry(7), "[]", ex=100)
        code, found = examine("--index")
        assert (code, found["index"][0]["level"]) == (7, "error")
        assert found["index"][0]["text"].startswith("1 entries are in no index")
    with MRCClient(mysql_url, f"{redis_url}?socket_timeout=10") as client:
        client.query_with_cache("SELECT ? AS id", [3], ["UserId"])

    assert "without an index" in examine("--index")[1]["index"][0]["text"]
    assert levels(examine()[1])["index"] == "warning"


def test_a_server_that_is_away_does_not_hide_the_other(examine: Examine) -> None:
    """Its line says so, the other is looked at, and the code is that of a server that is away."""
    code, found = examine("--redis", "redis://:s3cret@127.0.0.1:1/0")

    assert (code, found["Redis"][0]["level"]) == (4, "error")
    assert "MySQL version" in found
    assert "s3cret" not in json.dumps(found)
    code, found = examine("--mysql", "mysql://root:s3cret@127.0.0.1:1/")
    assert (code, "Redis version" in found, "s3cret" in json.dumps(found)) == (4, True, False)


def test_a_server_that_was_not_named_is_a_note(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them is enough to look at."""
    monkeypatch.delenv("MRC_MYSQL_URL")

    assert "MySQL: no --mysql: not looked at" in run("doctor").stdout


def test_the_worst_stands_first(
    run: Callable[..., Result], redis_client: redis.Redis, env: dict[str, str]
) -> None:
    """In a pipe without colours, in a terminal with them."""
    redis_client.set(lease(entry(9)), "token")

    assert run("doctor").stdout.startswith("warning  ")
    code, seen = in_terminal("doctor", env=env, raw=True)
    assert (code, "\x1b[33mwarning" in seen) == (6, True)


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (latency("Redis", [0.001, 0.002, 0.3]), Level.OK),
        (latency("Redis", [0.06, 0.07, 0.08]), Level.WARNING),
        (clock("Redis", 100.0, 101.0), Level.OK),
        (clock("Redis", 100.0, 110.0), Level.NOTE),
    ],
)
def test_times_are_judged(finding: Finding, level: Level) -> None:
    """The middle of the round trips counts, and clocks are for readers only."""
    assert finding.level == level


def test_versions_are_read() -> None:
    """Two numbers of whatever the server calls itself."""
    assert [version_of(text) for text in ("10.11.6-MariaDB-0+deb12u1", "8.0.6", "?")] == [
        (10, 11),
        (8, 0),
        (),
    ]
