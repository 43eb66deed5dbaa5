"""Hostile texts end to end: in keys, in drops, in statements; and entries that would like to be code."""

from __future__ import annotations

import ast
import os
import pickle
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import mysql_redis_cache
from mysql_redis_cache import MRCClient, MRCServer
from tests.support.urls import mysql_arguments, patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis
    from pymysql.connections import Connection

pytestmark = pytest.mark.real
unhurried = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

# Glob and Lua signs, protocol and key syntax, other people's names; no digits, since 1 is found in 1,2.
PIECES = [
    *("*", "?", "[", "]", "[^a]", "\\", "^", "-", "{", "}", "_", "=", ":", ",", " ", "'", '"', "%", "\0"),
    *("\n", "\r\n", "\r\nFLUSHALL\r\n", "\r\n$-\r\n", "]]", "--[[", "KEYS", "redis.call('FLUSHALL')"),
    *("_Id=", "Id=", "_Other=", ":lease", "{x}:lease", "mrc:idx:", "a", "ä", "\u2028", "😀"),
    *("\ud83d", "\udc00"),
]
hostile = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
QUERY = "who"


# Keys


@pytest.fixture(params=[False, True], ids=["walk", "index"])
def pair(
    request: pytest.FixtureRequest, mysql_url: str, redis_url: str
) -> Iterator[tuple[MRCClient, MRCServer]]:
    """A client and a server that find entries in one way or the other."""
    config = patient(redis_url)
    with (
        MRCClient(mysql_url, config, index=request.param) as client,
        MRCServer(config, index=request.param) as server,
    ):
        yield client, server


@unhurried
@given(own=hostile, other=hostile)
@example(own="*", other="a")
@example(own="a", other="a_Id=")
@example(own="[^a]", other="b")
@example(own="\\", other="\\\\")
@example(own="\r\nFLUSHALL\r\n", other="a")
@example(own="a" * 2**20, other="a" * (2**20 - 1))
def test_everybody_has_their_own(
    pair: tuple[MRCClient, MRCServer], redis_client: redis.Redis, own: str, other: str
) -> None:
    """No text reaches another's rows, and a drop of it reaches neither another's entry nor a foreign key."""
    client, server = pair
    redis_client.flushdb()
    foreign = [f"session:{own}", f"Id={own}", f"Id={own}_{'0' * 39}", f"{own}:Id={own}_{'g' * 40}"]
    names = [name.encode("utf-8", "surrogatepass") for name in foreign]
    for name in names:
        redis_client.set(name, "theirs")
    for text in (own, other):
        assert read(client, text) == read(client, text) == ascii(text)

    dropped = server.drop_outdated_cache(["Id"], [own])
    assert client.read_from_cache(QUERY, [own], ["Id"], "gone") == "gone"
    is_left = client.read_from_cache(QUERY, [other], ["Id"], "gone") == ascii(other)
    assert is_left or may_go(own, other)
    assert dropped == (1 if own == other else 2 - is_left)
    assert [redis_client.get(name) for name in names] == [b"theirs"] * len(names)


def read(client: MRCClient, text: str) -> Any:
    return client.with_cache(lambda: ascii(text), QUERY, [text], ["Id"])


def may_go(own: str, other: str) -> bool:
    """Whether a key that shows *other* can be read as one that carries *own*: then it may go as well."""
    shown_own, shown_other = (f"_Id={shown(text)}_" for text in (own, other))
    return shown_own in shown_other


def shown(text: str) -> str:
    """Half surrogate pairs, as Node shows them."""
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


@unhurried
@given(
    values=st.lists(hostile, min_size=2, max_size=4, unique=True),
    names=st.permutations(["Id", "Other", "Id_", "I"]),
)
def test_texts_do_not_reach_into_their_neighbours(
    pair: tuple[MRCClient, MRCServer], redis_client: redis.Redis, values: list[str], names: list[str]
) -> None:
    """Params side by side: each order of the same texts is a question of its own."""
    client, _ = pair
    redis_client.flushdb()
    for order in (values, values[::-1], [values[0] + values[1], *values[2:], ""]):
        for _ in range(2):
            answer = client.with_cache(lambda order=order: ascii(order), QUERY, order, names[: len(order)])
            assert answer == ascii(order)


# Entries


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_a_miss(
    protocol: int, mysql_url: str, redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """It is loaded over, and nothing in it runs."""
    with MRCClient(mysql_url, redis_url, stale_if_error=5) as client:
        key = client.get_key_from_query("SELECT 1 AS n")
        redis_client.set(key, pickle.dumps(Bomb(tmp_path / "trace"), protocol))
        assert client.query_with_cache("SELECT 1 AS n") == [{"n": 1}]
        assert (client.stats()["corrupt_entries"], redis_client.get(key)) == (1, b'[{"n":1}]')
    assert not (tmp_path / "trace").exists()


UNSAFE = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "yaml", "jsonpickle", "copyreg", "runpy"}
# ``rows`` writes itself a function, of which it puts in nothing but how many columns there are.
GENERATED = {"values/rows.py": ["eval"]}
MODULES = sorted(Path(mysql_redis_cache.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_only_json_is_ever_decoded(path: Path) -> None:
    """No module knows a format that can hold code, or makes code of what it reads."""
    made_code = []
    for node in ast.walk(ast.parse(path.read_text())):
        imported = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            imported = [node.module or ""]
        assert not UNSAFE.intersection(name.split(".")[0] for name in imported)
        if isinstance(node, ast.Name) and node.id in {"eval", "exec", "compile", "__import__"}:
            made_code.append(node.id)
    assert made_code == GENERATED.get(f"{path.parent.name}/{path.name}", [])


# Statements

# Whose second byte may be a backslash or a quote's neighbour in some character set of the server's.
TRICKS = [*"表ソ能十誠縗許功中¥‾ß'%", "\\", '"', "\\'", "'--"]
CHARACTER_SETS = ("gbk", "sjis", "big5")
tricky = st.lists(st.sampled_from(TRICKS), min_size=1, max_size=8).map("".join)
MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"]


@pytest.fixture(params=MODES, ids=lambda mode: mode or "default")
def asian(request: pytest.FixtureRequest, mysql_url: str) -> Iterator[MRCClient]:
    """Columns in character sets whose characters may end in a backslash, and a session of each mode."""
    with closing(pymysql.connect(**mysql_arguments(mysql_url), autocommit=True)) as admin:
        columns = ", ".join(f"in_{name} VARCHAR(50) CHARACTER SET {name}" for name in CHARACTER_SETS)
        admin.cursor().execute("DROP TABLE IF EXISTS asian")
        admin.cursor().execute(f"CREATE TABLE asian (wide VARBINARY(200), {columns})")
    mode = f"?sql_mode={request.param}" if request.param else ""
    with MRCClient(f"{mysql_url}{mode}") as client:
        yield client


@unhurried
@given(text=tricky)
def test_no_character_set_lets_a_text_out_of_its_quotes(asian: MRCClient, text: str) -> None:
    """Whatever the columns are in: the connection speaks UTF-8, in which no character hides a backslash."""
    asian.execute("DELETE FROM asian")
    params = [text.encode(), *[text] * len(CHARACTER_SETS)]
    assert asian.execute("INSERT IGNORE INTO asian VALUES (?, ?, ?, ?)", params).affected_rows == 1
    (found,) = asian.query("SELECT wide FROM asian WHERE wide = ? AND ? = ?", [text.encode(), text, text])
    assert found == {"wide": text.encode()}
    for name in CHARACTER_SETS:
        never = f"CONVERT(in_{name} USING utf8mb4) = ? AND 1 = 0"
        assert asian.query(f"SELECT 1 AS n FROM asian WHERE {never} OR {never}", [text, text]) == []


def test_percent_signs_are_text(asian: MRCClient) -> None:
    """In the statement as in a value; a value is a pattern only where the statement makes it one."""
    text = "SELECT '100%' AS a, '%s %(x)s' AS b, ? LIKE '100!%' ESCAPE '!' AS c, ? LIKE ? AS d, 7 % ? AS e"
    (row,) = asian.query(text, ["100%", "100x", "100%", 4])

    assert row == {"a": "100%", "b": "%s %(x)s", "c": 1, "d": 1, "e": 3}


def test_one_statement_is_one(asian: MRCClient, mysql_admin: Connection) -> None:
    """What follows a semicolon is not run, not even where the text itself has it."""
    value = "'; DROP TABLE asian; -- "
    assert asian.query("SELECT ? AS v", [value]) == [{"v": value}]
    with pytest.raises((pymysql.Error, ValueError)):
        asian.query("SELECT 1; DROP TABLE asian")
    with mysql_admin.cursor() as cursor:
        assert cursor.execute("SHOW TABLES LIKE 'asian'") == 1


NAMES = ["x: __import__('os')", "n0", "v0, *", "}] or 1/0", "'", '"""', "\\", "#", "%s", "?"]


def test_a_name_stays_a_name(asian: MRCClient) -> None:
    """Columns may be called as code is."""
    texts = [f"v{place}" for place in range(len(NAMES))]
    columns = ", ".join("? AS ??" for _ in NAMES)
    params = [part for both in zip(texts, NAMES, strict=True) for part in both]

    assert asian.query(f"SELECT {columns}", params) == [dict(zip(NAMES, texts, strict=True))]
