"""Each side drops what the other wrote, and ours nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from mysql_redis_cache.keys.naming import lease_name

from .peer import Call

if TYPE_CHECKING:
    from redis import Redis

    from mysql_redis_cache import MRCServer

    from .peer import Peer

pytestmark = pytest.mark.real

QUERY = "SELECT ? AS v"
WAIT = 10.0  # seconds; what is waited for comes at once

Params = tuple[list[Any], list[str]]
ENTRIES: dict[str, Params] = {
    "user 1": ([1], ["UserId"]),
    "user 1 as text, another query": (["1"], ["UserId"]),
    "user 1 in store 6": ([1, 6], ["UserId", "StoreId"]),
    "store 6 of user 1": ([6, 1], ["StoreId", "UserId"]),
    "user 1 in store 60": ([1, 60], ["UserId", "StoreId"]),
    "user 2 in store 6": ([2, 6], ["UserId", "StoreId"]),
    "user 12": ([12], ["UserId"]),
    "another name": ([1], ["XUserId"]),
    "users 1 and 2": ([[1, 2]], ["UserId"]),
    "users 11 and 12": ([[11, 12]], ["UserId"]),
    "name é_ñ *?[a]": (["é_ñ *?[a]"], ["Name"]),
}
FOREIGN = [
    b"session:UserId=1",
    b"UserId=1",
    b"cart:UserId=1:items",
    b"UserId=1_\xff\xfe",
    b"lock:UserId=1_StoreId=6",
]


def query_of(label: str) -> str:
    """Each entry has a query of its own, so that its key tells it from the others."""
    return f"{QUERY} /* {label} */"


def write_from_node(npm: Peer) -> None:
    """Let npm write all entries."""
    calls = [Call("writeToCache", (query_of(label), label, *entry)) for label, entry in ENTRIES.items()]
    npm.batch(calls)


def write_from_python(client: MRCClient) -> None:
    """Let us write all entries."""
    for label, entry in ENTRIES.items():
        client.write_to_cache(query_of(label), label, *entry)


def left_for_python(client: MRCClient) -> set[str]:
    """Which entries we still find."""
    return {label for label, entry in ENTRIES.items() if client.read_from_cache(query_of(label), *entry)}


def left_for_node(npm: Peer) -> set[str]:
    """Which entries npm still finds."""
    readings = npm.batch(
        [Call("readFromCache", (query_of(label), *entry)) for label, entry in ENTRIES.items()]
    )
    return {label for label, reading in zip(ENTRIES, readings, strict=True) if reading is not None}


OUR_DROPS: dict[str, tuple[list[str], list[Any], bool, set[str]]] = {
    "one_pair": (
        ["UserId"],
        [1],
        True,
        {
            "user 1",
            "user 1 as text, another query",
            "user 1 in store 6",
            "store 6 of user 1",
            "user 1 in store 60",
            "users 1 and 2",
        },
    ),
    "all_of_two_pairs": (["UserId", "StoreId"], [1, 6], True, {"user 1 in store 6", "store 6 of user 1"}),
    "any_of_two_pairs": (
        ["UserId", "StoreId"],
        [12, 60],
        False,
        {"user 12", "users 11 and 12", "user 1 in store 60"},
    ),
    "element_of_a_list": (["UserId"], [2], True, {"user 2 in store 6", "users 1 and 2"}),
    "whole_list": (["UserId"], [[1, 2]], True, {"users 1 and 2"}),
    "text_with_wildcards": (["Name"], ["é_ñ *?[a]"], True, {"name é_ñ *?[a]"}),
    "nothing": (["UserId"], [3], True, set()),
}


@pytest.mark.parametrize(("names", "values", "require_all", "expected"), OUR_DROPS.values(), ids=OUR_DROPS)
def test_python_drops_what_node_wrote(
    names: list[str],
    values: list[Any],
    require_all: bool,
    expected: set[str],
    server: MRCServer,
    npm: Peer,
) -> None:
    """Our drop deletes exactly the entries that carry the pairs, though npm wrote them, and counts them."""
    write_from_node(npm)

    deleted = server.drop_outdated_cache(names, values, require_all)

    assert left_for_node(npm) == ENTRIES.keys() - expected
    assert deleted == len(expected)


NODE_DROPS: dict[str, tuple[list[str], list[Any], bool, set[str]]] = {
    "one_pair_matches_as_a_substring": (
        ["UserId"],
        [1],
        False,
        ENTRIES.keys() - {"user 2 in store 6", "name é_ñ *?[a]"},
    ),
    "any_of_two_pairs_is_the_default": (
        ["UserId", "StoreId"],
        [12, 60],
        False,
        {"user 12", "user 1 in store 60"},
    ),
    "all_of_two_pairs": (
        ["UserId", "StoreId"],
        [1, 6],
        True,
        {"user 1 in store 6", "store 6 of user 1", "user 1 in store 60"},
    ),
    "text": (["Name"], ["é_ñ *?[a]"], False, {"name é_ñ *?[a]"}),
}


@pytest.mark.parametrize(("names", "values", "require_all", "expected"), NODE_DROPS.values(), ids=NODE_DROPS)
def test_node_drops_what_python_wrote(
    names: list[str],
    values: list[Any],
    require_all: bool,
    expected: set[str],
    client: MRCClient,
    npm: Peer,
) -> None:
    """npm's drop finds our entries as it finds its own: generously, since it looks for substrings."""
    write_from_python(client)

    deleted = npm.call("dropOutdatedCache", names, values, require_all)

    assert left_for_python(client) == ENTRIES.keys() - expected
    assert deleted == len(expected)


def test_foreign_keys_stay(server: MRCServer, npm: Peer, redis_client: Redis) -> None:
    """Our drop deletes npm's entry and none of the keys that only look like one."""
    npm.call("writeToCache", QUERY, "x", [1], ["UserId"])
    for name in FOREIGN:
        redis_client.rpush(name, "not ours")

    deleted = server.drop_outdated_cache(["UserId"], [1])

    assert deleted == 1
    assert set(redis_client.keys()) == set(FOREIGN)


def test_dry_run_counts_entries_of_node(server: MRCServer, npm: Peer) -> None:
    """A dry run tells how many of npm's entries would go, and deletes none."""
    write_from_node(npm)

    assert server.drop_outdated_cache(["UserId", "StoreId"], [1, 6], dry_run=True) == 2
    assert left_for_node(npm) == ENTRIES.keys()


def test_drop_query_deletes_the_entry_of_node(client: MRCClient, npm: Peer) -> None:
    """An entry without params has no pair to name; we drop it by its query."""
    npm.call("queryWithCache", "SELECT 1 AS v")

    client.drop_query("SELECT 1 AS v")

    assert npm.call("readFromCache", "SELECT 1 AS v") is None


def test_entry_of_node_is_a_hit(client: MRCClient, npm: Peer) -> None:
    """What npm cached is served until it is dropped, though MySQL says otherwise."""
    npm.call("writeToCache", QUERY, [{"v": "from Node"}], [1], ["UserId"])

    assert client.query_with_cache(QUERY, [1], ["UserId"]) == [{"v": "from Node"}]

    client.drop_outdated_cache(["UserId"], [1])

    assert client.query_with_cache(QUERY, [1], ["UserId"]) == [{"v": 1}]


def test_entry_of_python_is_a_hit(client: MRCClient, npm: Peer) -> None:
    """What we cached is served by npm until it is dropped, though MySQL says otherwise."""
    client.write_to_cache(QUERY, [{"v": "from Python"}], [1], ["UserId"])

    assert npm.call("queryWithCache", QUERY, [1], ["UserId"]) == [{"v": "from Python"}]

    npm.call("dropOutdatedCache", ["UserId"], [1])

    assert npm.call("queryWithCache", QUERY, [1], ["UserId"]) == [{"v": 1}]


def test_drop_of_node_deletes_leases(client: MRCClient, npm: Peer, redis_client: Redis) -> None:
    """The name of a lease contains that of its entry, so npm's search for substrings finds it too."""
    key = client.get_key_from_query(QUERY, [1], ["UserId"])
    redis_client.set(lease_name(key.encode()), "token")

    assert npm.call("dropOutdatedCache", ["UserId"], [1]) == 1
    assert redis_client.keys() == []


def test_drop_of_node_voids_a_load_in_flight(client: MRCClient, npm: Peer) -> None:
    """Rows that Python was loading while npm dropped them are returned, but not cached."""
    loading, dropped = threading.Event(), threading.Event()

    def load() -> str:
        loading.set()
        assert dropped.wait(WAIT)
        return "old"

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(client.with_cache, load, "load", [1], ["UserId"])
        assert loading.wait(WAIT)
        npm.call("dropOutdatedCache", ["UserId"], [1])
        dropped.set()

        assert reader.result(WAIT) == "old"
    assert npm.call("readFromCache", "load", [1], ["UserId"]) is None


def test_namespace_is_not_shared(npm: Peer, mysql_url: str, redis_url: str) -> None:
    """npm has no namespaces: it does not find such entries, but its drop deletes them none the less."""
    with MRCClient(mysql_url, redis_url, namespace="shop") as client:
        client.write_to_cache(QUERY, "ours", [1], ["UserId"])

        assert npm.call("readFromCache", QUERY, [1], ["UserId"]) is None
        assert npm.call("dropOutdatedCache", ["UserId"], [1]) == 1
        assert client.read_from_cache(QUERY, [1], ["UserId"]) is None
