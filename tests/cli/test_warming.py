"""``mrc warm``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.cli.app import mrc
from mysql_redis_cache.cli.settings import Settings
from tests.cli.conftest import QUERY
from tests.support.commands import runner
from tests.support.terminals import in_pipe, in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis
    from click.testing import Result

    from mysql_redis_cache import MRCClient

pytestmark = pytest.mark.real

NAMES = ["UserId", "StoreId"]


def line(user: int, **more: Any) -> str:
    return json.dumps({"query": QUERY, "params": [user, 6], "param_names": NAMES, **more}) + "\n"


def test_what_a_file_asks_for_is_cached(
    run: Callable[..., Result], client: MRCClient, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Each entry is the one that the application reads, with its ttl and tags; blank lines are nothing."""
    (tmp_path / "queries.jsonl").write_text(
        line(1)
        + "\n"
        + line(2, ttl=100, tags={"Table": "users"})
        + '{"query": "SELECT :n AS n", "params": {"n": 5}}'
    )

    warmed = run("warm", "queries.jsonl")
    assert (warmed.exit_code, warmed.stdout, warmed.stderr) == (0, "3\n", "")
    assert client.read_from_cache(QUERY, [1, 6], NAMES) == [{"id": 1, "store": 6}]
    assert client.read_from_cache("SELECT :n AS n", {"n": 5}) == [{"n": 5}]
    key = client.get_key_from_query(QUERY, [2, 6], NAMES, tags={"Table": "users"})
    assert 80 < redis_client.ttl(key) <= 110


def test_what_is_cached_is_not_loaded_again(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """It counts as cached all the same, and so does what stands there twice."""
    filled(1, 6)
    given = line(1) + line(2) + line(2)

    again = run("warm", "-", "--json", given=given)
    assert json.loads(again.stdout) == {"cached": 3, "loaded": 1, "failed": 0}


def test_many_at_once(run: Callable[..., Result], redis_client: redis.Redis) -> None:
    """As many jobs as wanted, or as the pool has connections."""
    given = "".join([line(number) for number in range(200)])

    assert run("warm", "-", "--jobs", "50", given=given).stdout == "200\n"
    assert redis_client.dbsize() == 200


def test_bad_lines_are_named_before_anything_is_loaded(
    run: Callable[..., Result], redis_client: redis.Redis
) -> None:
    """By number, all of them, and without values; it ends with 2."""
    bad = [
        "{",
        "[1]",
        '{"params": [1]}',
        '{"query": "SELECT 1", "parms": []}',
        '{"query": "SELECT ?", "params": ["s3cret", 2]}',
        '{"query": "DELETE FROM users"}',
        '{"query": "SELECT 1", "ttl": 0}',
        '{"query": "SELECT 1", "tags": {"": 1}}',
        '{"query": 1}',
    ]
    ended = run("warm", "-", given="\n".join([line(1).strip(), *bad]))

    assert (ended.exit_code, ended.stdout, redis_client.dbsize()) == (2, "", 0)
    assert [said.partition(":")[0] for said in ended.stderr.splitlines()[:-1]] == [
        f"line {number}" for number in range(2, 11)
    ]
    assert "did you mean 'params'?" in ended.stderr
    assert ended.stderr.endswith("9 of 10 lines are bad, and nothing was loaded\n")
    assert "s3cret" not in ended.stderr


def test_a_query_that_fails_is_named_and_the_others_are_loaded(run: Callable[..., Result]) -> None:
    """It ends with 1."""
    given = line(1) + '{"query": "SELECT * FROM missing"}\n' + line(2)

    ended = run("warm", "-", "--json", given=given)
    assert (ended.exit_code, json.loads(ended.stdout)) == (1, {"cached": 2, "loaded": 2, "failed": 1})
    assert ended.stderr.startswith("line 2: MySQL: Table ")


def test_a_server_that_is_away_ends_it(run: Callable[..., Result]) -> None:
    """4, at once: without Redis nothing would be kept."""
    for option, url in (
        ("--redis", "redis://:s3cret@127.0.0.1:1/0"),
        ("--mysql", "mysql://u:s3cret@127.0.0.1:1/"),
    ):
        ended = run("warm", "-", option, url, given=line(1) * 100)
        assert (ended.exit_code, ended.stdout) == (4, "")
        assert "s3cret" not in ended.output


def test_ctrl_c_ends_it_without_the_rest(env: dict[str, str], tmp_path: Path) -> None:
    """What has not begun does not begin: a thousand seconds of loads end at once."""
    file = tmp_path / "queries.jsonl"
    slow = {"query": "SELECT COUNT(SLEEP(1)) FROM (SELECT ? AS n) AS one"}
    file.write_text("".join([json.dumps({**slow, "params": [number]}) + "\n" for number in range(2000)]))

    began = time.monotonic()
    code, seen = in_terminal("warm", str(file), "--jobs", "2", env=env, answers=[("loading", "\x03")])
    assert (code, "interrupted" in seen) == (130, True)
    assert time.monotonic() - began < 15


def test_a_terminal_sees_how_far_it_is(env: dict[str, str], tmp_path: Path) -> None:
    """A bar on standard error; a pipe gets the count alone."""
    file = tmp_path / "queries.jsonl"
    file.write_text("".join([line(number) for number in range(20)]))

    code, seen = in_terminal("warm", str(file), env=env)
    assert (code, "loading" in seen, seen.rstrip().endswith("20")) == (0, True, True)
    piped = in_pipe("warm", str(file), env=env)
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, "20\n", "")


def test_servers_may_be_an_application_s() -> None:
    """Whose config names a socket; MySQL is not asked before Redis is there."""
    theirs = Settings({"unix_socket": "/run/mysql.sock"}, "redis://127.0.0.1:1/0", None, index=False)

    ended = runner().invoke(mrc, ["warm", "-"], input=line(1), obj=theirs)

    assert (ended.exit_code, "Redis is not available" in ended.stderr) == (4, True)
