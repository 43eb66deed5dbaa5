"""``mrc drop``."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import QUERY
from tests.support.populating import fill_foreign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis
    from click.testing import Result

    from mysql_redis_cache import MRCClient

pytestmark = pytest.mark.real


def entries_of(client: redis.Redis) -> int:
    return len(client.keys("*Id=*"))


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["UserId=1", "StoreId=6"], 1),
        (["UserId=1", "StoreId=7", "--any"], 3),
        (["--many", "UserId", "-"], 3),
        (["--query", sha1(QUERY.encode()).hexdigest()], 4),
        (["--query", "query.sql"], 4),
        (["--all"], 4),
        (["UserId=9"], 0),
    ],
)
def test_what_is_asked_for_is_dropped(
    run: Callable[..., Result],
    filled: Callable[..., str],
    redis_client: redis.Redis,
    tmp_path: Path,
    arguments: list[str],
    count: int,
) -> None:
    """The count is on standard output, the same for a dry run, which drops nothing."""
    for user, store in [(1, 6), (1, 7), (2, 7), (3, 6)]:
        filled(user, store)
    (tmp_path / "query.sql").write_text(QUERY + "\n")

    dry = run("drop", *arguments, "--dry-run", given="1\n2\n\n")
    assert (dry.exit_code, dry.stdout, entries_of(redis_client)) == (0, f"{count}\n", 4)
    wet = run("drop", *arguments, "--yes", "--json", given="1\n2\n\n")
    assert (json.loads(wet.stdout), entries_of(redis_client)) == ({"dropped": count}, 4 - count)


@pytest.mark.parametrize("value", ["a\x85b", "a\u2028b", "a\x0cb", " a", "é"])
def test_a_line_is_one_value(
    run: Callable[..., Result], client: MRCClient, tmp_path: Path, value: str
) -> None:
    """Whatever else ends lines somewhere; a mark of UTF-8 and the line ends of Windows are no part of it."""
    client.query_with_cache("SELECT ? AS name", [value], ["Name"])
    (tmp_path / "names").write_bytes(f"\ufeff{value}\r\nb\r\n".encode())

    assert run("drop", "--many", "Name", "names", "--yes").stdout == "1\n"


def test_other_keys_stay(run: Callable[..., Result], redis_client: redis.Redis) -> None:
    """``--all`` is all entries, not all keys."""
    foreign = fill_foreign(redis_client)

    assert run("drop", "--all", "--yes").stdout == "0\n"
    assert set(redis_client.keys()) == foreign


def test_an_index_is_used(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """With ``--index`` entries that are in none are found all the same."""
    filled(1, 6)

    assert run("drop", "UserId=1", "--index", "--yes").stdout == "1\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["UserId"],
        ["=1"],
        ["UserId=1", "--all"],
        ["--all", "--any"],
        ["--query", "missing.sql"],
        ["UserId:=nul"],
        ["UserId=1"],  # nobody could be asked
    ],
)
def test_what_is_unclear_drops_nothing(
    run: Callable[..., Result], filled: Callable[..., str], redis_client: redis.Redis, arguments: list[str]
) -> None:
    """It ends with 2, before anything is sent."""
    filled(1, 6)

    assert run("drop", *arguments).exit_code == 2
    assert entries_of(redis_client) == 1


def test_out_of_time_is_told_apart(run: Callable[..., Result], filled: Callable[..., str]) -> None:
    """A drop that did not end is 5."""
    filled(1, 6)

    late = run("drop", "--all", "--yes", "--timeout", "0.000001")
    assert (late.exit_code, late.stdout) == (5, "")


def test_a_redis_that_is_away_is_told_apart(run: Callable[..., Result]) -> None:
    """Nothing was dropped: 4; the password is in no message."""
    away = run("drop", "--all", "--yes", "--redis", "redis://:s3cret@127.0.0.1:1/0")

    assert away.exit_code == 4
    assert "s3cret" not in away.output
