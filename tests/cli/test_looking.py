"""``mrc ls``, ``get``, ``key`` and ``explain``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from mysql_redis_cache.cli.inventory import Filter, chosen, entries
from mysql_redis_cache.drops import Budget
from mysql_redis_cache.store import link
from tests.cli.conftest import QUERY
from tests.support.populating import fill_foreign, fill_users
from tools.private_servers import PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    from mysql_redis_cache import MRCClient

pytestmark = pytest.mark.real


def test_entries_are_listed_with_ttl_and_bytes(
    run: Callable[..., Result], filled: Callable[..., str], redis_client: redis.Redis
) -> None:
    """Lines of a pipe have tabs, in the order ttl, bytes, key; other people's keys are no entries."""
    keys = {filled(1, 6), filled(2, 6)}
    fill_foreign(redis_client)

    rows = [line.split("\t") for line in run("ls").stdout.splitlines()]
    assert {row[2] for row in rows} == keys
    assert all(70_000 < int(ttl) <= 95_040 and int(size) == 20 for ttl, size, _ in rows)


def test_pairs_tags_and_queries_choose(
    run: Callable[..., Result], filled: Callable[..., str], client: MRCClient, tmp_path: Path
) -> None:
    """All the pairs must be carried; a query is known by a file with its text, or by its SHA-1."""
    first, second = filled(1, 6, tags={"Table": "users"}), filled(2, 6)
    client.query_with_cache("SELECT 1 AS one", tags={"Table": "users"})
    (tmp_path / "query.sql").write_text(QUERY + "\n")

    def listed(*arguments: str) -> set[str]:
        return {json.loads(line)["key"] for line in run("ls", "--json", *arguments).stdout.splitlines()}

    assert listed("UserId=1", "StoreId=6") == {first}
    assert listed("StoreId=6") == {first, second}
    assert len(listed("Table=users")) == 2
    assert listed("Table=users", "--query", "query.sql") == {first}
    assert listed("--query", sha1(QUERY.encode()).hexdigest()) == {first, second}


def test_the_order_is_that_asked_for(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """Those that end first, or the largest; no more than the limit, and whoever looks is told of more."""
    soon, late, large = filled(1, 6, ttl=100), filled(2, 6, ttl=10_000), filled(1_000_000, 6, ttl=1000)

    by_ttl = run("ls", "--sort", "ttl", "--limit", "2")
    assert [line.split("\t")[2] for line in by_ttl.stdout.splitlines()] == [soon, large]
    assert "--limit" in by_ttl.stderr
    assert run("ls", "--sort", "bytes", "--limit", "1").stdout.split("\t")[2].strip() == large
    assert [line.split("\t")[2] for line in run("ls", "--sort", "key").stdout.splitlines()] == sorted(
        [soon, late, large]
    )


def test_nothing_found_has_a_code_of_its_own(run: Callable[..., Result]) -> None:
    """No entry at all is 3, for a list and for one."""
    assert [run("ls").exit_code, run("get", "UserId=1").exit_code] == [3, 3]


def test_a_long_list_takes_bounded_memory(redis_client: redis.Redis, redis_url: str) -> None:
    """What is held is what is shown, however many entries there are."""
    fill_users(redis_client, range(60_000))
    way = link(redis_url, timeout=10)
    tracemalloc.start()
    try:
        best = list(chosen(entries(way, Filter(""), Budget(60)), "key", 10))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        way.close()

    assert [entry.size for entry in best] == [2] * 10
    assert peak < 5_000_000


def test_a_key_cannot_write_to_the_terminal(run: Callable[..., Result], redis_client: redis.Redis) -> None:
    """Line breaks and escapes of a name are shown as text, and JSON keeps them whole."""
    name = "UserId=\x1b[31m\n_" + "a" * 40
    redis_client.set(name, "[]")

    assert run("ls").stdout == "-\t2\tUserId=\\x1b[31m\\n_" + "a" * 40 + "\n"
    assert json.loads(run("ls", "--json").stdout)["key"] == name


def test_get_shows_the_value(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """Data on standard output, talk on the other; ``--json`` has both."""
    key = filled(1, 6)

    shown = run("get", key)
    assert (shown.exit_code, json.loads(shown.stdout)) == (0, [{"id": 1, "store": 6}])
    assert "20 bytes" in shown.stderr
    about = json.loads(run("get", key, "--json").stdout)
    assert about.pop("ttl") > 0
    assert about == {"key": key, "bytes": 20, "loading": False, "value": [{"id": 1, "store": 6}]}


def test_get_of_bytes_and_of_rubbish(run: Callable[..., Result], redis_client: redis.Redis) -> None:
    """Bytes are shown as Node writes them; what is no JSON is an error that does not show it."""
    redis_client.set("blob", '[{"b":{"type":"Buffer","data":[0,255]}}]')
    redis_client.set("rubbish", "s3cret")

    assert json.loads(run("get", "blob").stdout) == [{"b": {"type": "Buffer", "data": [0, 255]}}]
    failed = run("get", "rubbish")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "s3cret" not in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["--param", "UserId=1", "--param", "StoreId=6"], ([1, 6], ["UserId", "StoreId"])),
        (["--param", "UserId:=null", "--param", "=x"], ([None, "x"], ["UserId"])),
        (["--param", "UserId=null", "--param", "=x"], (["null", "x"], ["UserId"])),
        (["--param", "UserId:=[1, 2]", "--param", "=a=b"], ([[1, 2], "a=b"], ["UserId"])),
    ],
)
def test_key_is_the_client_s(
    run: Callable[..., Result], client: MRCClient, arguments: list[str], call: tuple[list[object], list[str]]
) -> None:
    """What is typed gives the key that the application has."""
    assert run("key", QUERY, *arguments).stdout.strip() == client.get_key_from_query(QUERY, *call)


def test_key_of_named_params_tags_and_namespaces(
    run: Callable[..., Result], client: MRCClient, tmp_path: Path
) -> None:
    """A query with ``:names`` takes them in any order, a signature as they come; a file may hold the text."""
    query = "SELECT :StoreId AS s, :UserId AS u"
    (tmp_path / "query.sql").write_text(query)
    pairs = ["--param", "UserId=1", "--param", "StoreId=6"]
    tagged = client.get_key_from_query("f", ["b", "a"], ["Z", "A"], tags={"Table": "users"})

    assert run("key", "@query.sql", *pairs).stdout.strip() == client.get_key_from_query(
        query, {"UserId": 1, "StoreId": 6}
    )
    assert (
        run("key", "f", "--param", "Z=b", "--param", "A=a", "--tag", "Table=users").stdout.strip() == tagged
    )
    assert run("key", "f", "--namespace", "shop").stdout.startswith("shop:")
    assert run("key", "-", given=QUERY + "\n").stdout == run("key", QUERY).stdout


def test_key_needs_no_server(run: Callable[..., Result]) -> None:
    """It is computed."""
    assert run("key", "f", "--redis", "redis://127.0.0.1:1/0").exit_code == 0


def test_a_query_is_explained(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """As the client's own method does; with --json all of it."""
    key = filled(1, 6)
    asked = ("explain", QUERY, "--param", "UserId=1", "--param", "StoreId=6")

    shown, found = run(*asked), json.loads(run(*asked, "--json").stdout)

    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0] == f"key         {key}"
    assert found["key"] == key
    assert found["redis"]["bytes"] == 20
    assert found["windows"] == {}  # the application's
    assert "windows     those of the clients" in shown.stdout


def test_an_explanation_needs_redis_for_half_of_it(run: Callable[..., Result]) -> None:
    """The other half is told all the same; the code says that it was not there."""
    result = run("explain", "sig", "--redis", "redis://127.0.0.1:1")

    assert result.exit_code == 4
    assert "pairs       none" in result.stdout
    assert "127.0.0.1:1" in result.stdout


def test_an_explanation_cannot_steer_a_terminal(run: Callable[..., Result]) -> None:
    """Names and values may hold anything."""
    result = run("explain", "sig", "--param", "Name=\x1b[2J")

    assert "\x1b" not in result.stdout
    assert "Name=\\x1b[2J" in result.stdout


# The long form: MRC_CLI_ENTRIES=10000000 pytest tests/cli/test_looking.py -k bounded --timeout 1800
ENTRIES = int(os.environ.get("MRC_CLI_ENTRIES", "20000"))
FILL = "for n = ARGV[1], ARGV[2] do redis.call('SET', 'UserId=' .. n .. '_' .. ARGV[3], '[]') end"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
@pytest.mark.parametrize("how", [("--limit", "0"), ("--sort", "bytes"), ("--limit", "0", "--json")])
def test_many_entries_take_bounded_memory(how: tuple[str, ...], many_entries: str) -> None:
    """What a list of all of them, or the largest of them, needs does not grow with their number."""
    code = (
        "import sys\nfrom mysql_redis_cache.cli import main\ntry: main()\nfinally:\n"
        "    print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "ls", *how, "--timeout", "3000", "--redis", many_entries]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as listing:
        lines = sum(1 for _ in listing.stdout or ())
        told = listing.stderr.read() if listing.stderr else ""

    assert listing.returncode == 0, told
    assert lines >= (ENTRIES if "0" in how else 100)
    assert int(told.split()[-1]) < 120_000  # kilobytes


@pytest.fixture(scope="module")
def many_entries() -> Iterator[str]:
    """A Redis with so many entries."""
    with PrivateRedis() as server, redis.Redis.from_url(server.url) as admin:
        for first in range(0, ENTRIES, 100_000):
            admin.eval(FILL, 0, first, min(first + 100_000, ENTRIES) - 1, "0" * 40)
        yield server.url


def test_a_list_out_of_time_is_no_drop(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """Nothing was to be deleted, and nothing is outdated for it."""
    filled(1, 6)

    result = run("ls", "--timeout", "0")

    assert (result.exit_code, "within 0 s" in result.stderr, "drop" in result.stderr) == (5, True, False)


def test_a_value_cannot_write_to_the_terminal(run: Callable[..., Result], redis_client: redis.Redis) -> None:
    """Nor does what has no bytes end the command; it is JSON, and says the same."""
    key = "UserId=1\x9b_" + "a" * 40
    redis_client.set(key, '["\x9b31m\u202e", "\\ud800", "é"]')

    value, told, listed = run("get", key), run("get", "--json", key), run("ls", "--json")

    assert json.loads(value.stdout) == ["\x9b31m\u202e", "\ud800", "é"]
    assert json.loads(told.stdout)["key"] == json.loads(listed.stdout)["key"] == key
    assert "é" in value.stdout
    assert all(line.isprintable() for each in (value, told, listed) for line in each.stdout.splitlines())


def test_a_key_need_not_be_utf8(run: Callable[..., Result], redis_client: redis.Redis) -> None:
    """It is got as it is typed."""
    key = b"UserId=\xff_" + b"a" * 40
    redis_client.set(key, "[1]")

    assert json.loads(run("get", "--json", os.fsdecode(key)).stdout)["value"] == [1]
