"""``mrc verify``: forgotten drops are found, in queries that a module lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.readthrough import verifying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from pymysql.connections import Connection

    from mysql_redis_cache import MRCClient

pytestmark = pytest.mark.real

NAME = "SELECT name FROM verified WHERE id = ?"
MODULE = f"""
from mysql_redis_cache import Query

queries = [Query({NAME!r}, [number], ["UserId"]) for number in range(5)]


def some():
    return [({NAME!r}, [1], ["UserId"])]


bad = [7]
"""


@pytest.fixture
def listed(
    tmp_path: Path, mysql_admin: Connection, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A module with queries, and their table."""
    monkeypatch.setattr(verifying, "LATER", 0.05)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"verified_{request.node.name.partition('[')[0]}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE verified (id INT PRIMARY KEY, name VARCHAR(40))")
        cursor.execute("INSERT INTO verified VALUES (0, 'a'), (1, 'b'), (2, 'c')")
    yield name
    with mysql_admin.cursor() as cursor:
        cursor.execute("DROP TABLE verified")


def test_a_forgotten_drop_is_found(
    run: Callable[..., Result], listed: str, client: MRCClient, mysql_admin: Connection
) -> None:
    """The pairs are told, not their values; the code is one of its own."""
    for number in range(3):
        client.query_with_cache(NAME, [number], ["UserId"])
    clean = run("verify", "--module", listed)
    with mysql_admin.cursor() as cursor:
        cursor.execute("UPDATE verified SET name = 'z' WHERE id = 2")
    found, told = run("verify", "--module", listed), run("verify", "--module", listed, "--json")

    assert (clean.exit_code, clean.stdout) == (0, "")
    assert "0 stale of 3 checked; 2 not cached" in clean.stderr
    assert (found.exit_code, found.stdout) == (8, f"UserId\t{NAME}\n")
    answer = json.loads(told.stdout)
    assert (answer["checked"], answer["stale"], answer["not_cached"]) == (3, 1, 2)
    assert answer["found"][0]["key"] == client.get_key_from_query(NAME, [2], ["UserId"])


def test_a_function_may_list_them(run: Callable[..., Result], listed: str, client: MRCClient) -> None:
    """Of any name; nothing cached is 3."""
    assert run("verify", "--module", f"{listed}:some").exit_code == 3
    client.query_with_cache(NAME, [1], ["UserId"])
    assert run("verify", "--module", f"{listed}:some", "--sample", "1").exit_code == 0


@pytest.mark.parametrize("source", ["no_such_module", "json", ":x", "{listed}:bad"])
def test_what_lists_nothing_is_refused(run: Callable[..., Result], listed: str, source: str) -> None:
    """Before a server is asked."""
    assert run("verify", "--module", source.format(listed=listed)).exit_code == 2


def test_servers_that_are_away_are_told_apart(
    run: Callable[..., Result], listed: str, client: MRCClient
) -> None:
    """From queries that nobody has cached: nothing can be said of them."""
    client.query_with_cache(NAME, [1], ["UserId"])

    for server in ("--redis=redis://127.0.0.1:1/0", "--mysql=mysql://app@127.0.0.1:1/app"):
        result = run("verify", "--module", listed, server)
        assert (result.exit_code, "not cached" in result.stderr) == (4, False), result.stderr


def test_a_query_that_fails_is_named(
    run: Callable[..., Result], listed: str, client: MRCClient, mysql_admin: Connection
) -> None:
    """A change of the schema is no entry that is missing."""
    client.query_with_cache(NAME, [1], ["UserId"])
    with mysql_admin.cursor() as cursor:
        cursor.execute("ALTER TABLE verified RENAME COLUMN name TO called")
    try:
        result = run("verify", "--module", listed)
        told = json.loads(run("verify", "--module", listed, "--json").stdout)
    finally:
        with mysql_admin.cursor() as cursor:
            cursor.execute("ALTER TABLE verified RENAME COLUMN called TO name")

    assert (result.exit_code, told["failed"]) == (1, 1)
    assert f"{NAME}: MySQL: Unknown column" in result.stderr
