"""Typed rows: ``into=`` and ``one=`` on every call that reads, on hit, miss, follower and without a cache."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pydantic
import pytest

from mysql_redis_cache import RowMismatch, TooManyRows

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis
    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

MONEY = (
    "SELECT CAST(1 AS SIGNED) AS id, CAST(? AS DECIMAL(65,30)) AS total, CAST('5' AS DECIMAL(5,0)) AS n,"
    " TIMESTAMP('2025-12-23 10:30:00') AS at, CAST('2025-12-23' AS DATE) AS day, TIME('-12:34:56.5') AS took,"
    " X'00FF' AS photo, NULL AS note"
)
ALL_DIGITS = "12345678901234567890123456789012345.123456789012345678901234567890"
USER = "SELECT id, name, store_id FROM users WHERE id = ?"
USERS = "SELECT id, name, store_id FROM users ORDER BY id"


class Bill(msgspec.Struct):
    id: int
    total: Decimal
    n: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    note: str | None


@dataclass
class User:
    id: int
    name: str
    store_id: int


class Named(NamedTuple):
    id: int
    name: str


class Model(pydantic.BaseModel):
    id: int
    name: str


@dataclass
class Wrong:
    id: int
    name: int


ADA = User(123, "Ada", 6)


@pytest.mark.real
async def test_money_and_all_other_types(client: Any, users: Connection) -> None:
    """Real ones, all digits, the same on miss and hit; dict rows have the floats and texts they had."""
    asked = (MONEY, [ALL_DIGITS], ["Total"])

    missed = await client.query_with_cache(*asked, into=Bill)
    hit = await client.query_with_cache(*asked, into=Bill)
    rows = await client.query_with_cache(*asked)

    moment = datetime(2025, 12, 23, 10, 30)
    took = -timedelta(hours=12, minutes=34, seconds=56.5)
    bill = Bill(1, Decimal(ALL_DIGITS), Decimal(5), moment, moment.date(), took, b"\x00\xff", None)
    assert missed == hit == await client.query(MONEY, [ALL_DIGITS], into=Bill) == [bill]
    assert (str(hit[0].total), str(hit[0].n)) == (ALL_DIGITS, "5")
    assert rows == await client.query(MONEY, [ALL_DIGITS])
    assert (rows[0]["total"], rows[0]["n"]) == (float(ALL_DIGITS), 5.0)
    assert type(rows[0]["n"]) is float


@pytest.mark.real
@pytest.mark.parametrize(
    ("cast", "text"),
    [("DECIMAL(10,2)", "10.00"), ("DECIMAL(65,0)", "9" * 65), ("DECIMAL(30,30)", f"0.{'0' * 29}1")],
)
async def test_digits_of_money_lie_in_redis(
    client: Any, redis_client: redis.Redis, users: Connection, cast: str, text: str
) -> None:
    """As the server sent them, in a number that every reader takes for a float."""
    query = f"SELECT CAST(? AS {cast}) AS v"

    missed = await client.query_with_cache(query, [text], ["V"])
    hit = await client.query_with_cache(query, [text], ["V"])
    payload: Any = redis_client.get(client.get_key_from_query(query, [text], ["V"]))

    assert json.loads(payload, parse_float=lambda digits: digits.removesuffix("e0")) == [{"v": text}]
    assert repr(missed) == repr(hit) == repr([{"v": float(text)}])
    assert await client.query_with_cache(query, [text], ["V"], into=Decimal, one=True) == Decimal(text)


@pytest.mark.parametrize("redis_config", ["redis", None])
async def test_every_kind_of_class(
    make_client: Callable[..., Any], redis_url: str, users: Connection, redis_config: str | None
) -> None:
    """Of one entry, in whatever form each caller wants it; without a cache too."""
    client = make_client(redis=redis_url if redis_config else None)

    for _ in range(2):
        assert await client.query_with_cache(USER, [123], ["Id"], into=User) == [ADA]
        assert await client.query_with_cache(USER, [123], ["Id"], into=Named) == [Named(123, "Ada")]
        assert await client.query_with_cache(USER, [123], ["Id"], into=Model) == [Model(id=123, name="Ada")]
        assert await client.query_with_cache(USER, [123], ["Id"]) == [vars(ADA)]

    assert await client.query_with_cache("SELECT id FROM users ORDER BY id", into=int) == [123, 124, 125]
    if redis_config:
        assert client.stats()["fills"] == 2


async def test_the_only_row(client: Any, users: Connection) -> None:
    """Or None; more are an error."""
    for _ in range(2):
        assert await client.query_with_cache(USER, [123], into=User, one=True) == ADA
        assert await client.query_with_cache(USER, [123], one=True) == vars(ADA)
        assert await client.query_with_cache(USER, [9], into=User, one=True) is None
        assert await client.query_with_cache("SELECT COUNT(*) FROM users", into=int, one=True) == 3
        with pytest.raises(TooManyRows, match="3 rows"):
            await client.query_with_cache(USERS, one=True)
    assert await client.query(USER, [123], into=User, one=True) == ADA
    with pytest.raises(TooManyRows):
        await client.query(USERS, into=User, one=True)


async def test_what_does_not_fit_is_the_callers_affair(
    client: Any, redis_client: redis.Redis, users: Connection, loads: Any
) -> None:
    """It is raised on miss and hit alike; the entry stays, is not corrupt, and others have it."""
    asked = loads(client)

    for _ in range(2):
        with pytest.raises(RowMismatch, match=r"column name \(\$\[0\].name\) is str, and Wrong wants int"):
            await client.query_with_cache(USER, [123], ["Id"], into=Wrong)
    with pytest.raises(RowMismatch):
        await client.query(USER, [123], into=Wrong)

    assert await client.query_with_cache(USER, [123], ["Id"], into=User) == [ADA]
    stats = client.stats()
    assert (stats.get("fills"), stats.get("corrupt_entries", 0), stats.get("cache_failures", 0)) == (1, 0, 0)
    assert redis_client.keys("*:lease") == []
    assert asked == [USER, USER]


async def test_a_corrupt_entry_is_a_miss(client: Any, redis_client: redis.Redis, users: Connection) -> None:
    """Also where its beginning would not fit."""
    key = client.get_key_from_query(USER, [123], ["Id"])
    for corrupt in (b'[{"id":"x', b"\xff", b"", b"[NaN]"):
        redis_client.set(key, corrupt)
        assert await client.query_with_cache(USER, [123], ["Id"], into=User) == [ADA]
    assert client.stats()["corrupt_entries"] == 4


async def test_an_entry_that_is_no_rows_does_not_fit(client: Any, redis_client: redis.Redis) -> None:
    """It is JSON, so it may be somebody's: it stays."""
    redis_client.set(client.get_key_from_query(USER, [1], ["Id"]), b'{"a":1}')

    with pytest.raises(RowMismatch, match=r"\$ is dict, and User wants list"):
        await client.query_with_cache(USER, [1], ["Id"], into=User)


async def test_followers_of_one_flight_have_forms_of_their_own(client: Any, users: Connection) -> None:
    """One load for all; what does not fit one of them is nothing to the others."""
    slow = "SELECT id, name, store_id, SLEEP(0.3) AS s FROM users WHERE id = ?"
    forms: list[Any] = [User, None, Named, Wrong, Model]

    def ask(form: Any) -> Any:
        async def call() -> Any:
            try:
                return await client.query_with_cache(slow, [123], ["Id"], into=form)
            except RowMismatch:
                return "misfit"

        return call

    answers = await client.together([ask(form) for form in forms])

    assert answers[0] == [ADA]
    assert answers[1] == [{**vars(ADA), "s": 0}]
    assert answers[2:4] == [[Named(123, "Ada")], "misfit"]
    assert answers[4] == [Model(id=123, name="Ada")]
    assert client.stats()["fills"] == 1


async def test_many_queries(client: Any, users: Connection) -> None:
    """One form for all, or one for each; one query in two forms is asked once a form."""
    count = ("SELECT COUNT(*) FROM users",)
    one = (USER, [123], ["Id"])

    for _ in range(2):
        both = await client.query_many_with_cache([one, one, count], into=[User, None, int])
        assert both == [[ADA], [vars(ADA)], [3]]
        ones = await client.query_many_with_cache([one, count], into=[User, int], one=[False, True])
        assert ones == [[ADA], 3]
        first, second = await client.query_many_with_cache([one, one], into=User, one=True)
        assert first == second == ADA
        assert first is not second
        with pytest.raises(RowMismatch):
            await client.query_many_with_cache([one, count], into=Wrong)
    assert client.stats()["fills"] == 2


async def test_functions(client: Any) -> None:
    """``with_cache`` and ``cached`` give back what the function returned, in its type."""
    calls: list[int] = []

    def users() -> list[User]:
        calls.append(1)
        return [ADA]

    for _ in range(2):
        assert await client.with_cache(users, "users_v1", into=list[User]) == [ADA]
    assert await client.with_cache(users, "users_v1") == [vars(ADA)]
    with pytest.raises(RowMismatch, match=r"column name \(\$\[0\].name\) is str"):
        await client.with_cache(users, "users_v1", into=list[Wrong])
    assert len(calls) == 1


async def test_cached_functions(client: Any) -> None:
    """As ``with_cache``."""

    @client.cached("user_v1", ["UserId"], into=User)
    def user(user_id: int) -> User:
        return User(user_id, "Ada", 6)

    for _ in range(2):
        found = user(123)
        assert (found if client.is_blocking else await found) == ADA


async def test_a_function_that_says_what_json_does_not_give_is_refused(client: Any) -> None:
    """When it is decorated, with advice: the type checker would believe it."""

    def user(user_id: int) -> User:
        raise AssertionError

    def when() -> list[datetime]:
        raise AssertionError

    with pytest.raises(TypeError, match=r"user returns User, .* comes dict: write cached\(..., into=User\)"):
        client.cached("user_v1", ["UserId"])(user)
    with pytest.raises(TypeError, match="comes list\\[str\\]"):
        client.cached("when_v1")(when)


@pytest.mark.parametrize("into", ["User", 3, object, int | dict[str, int] | User | Model])
async def test_bad_forms(client: Any, into: Any, users: Connection) -> None:
    """They are a ``TypeError`` before anything is sent."""
    before = client.stats()
    for call in (
        lambda: client.query_with_cache(USER, [123], into=into),
        lambda: client.query(USER, [123], into=into),
        lambda: client.query_many_with_cache([(USER, [123])], into=into),
    ):
        with pytest.raises(TypeError, match="into"):
            await call()
    with pytest.raises(TypeError, match="one must be True or False, not int"):
        await client.query_with_cache(USER, [123], one=1)
    with pytest.raises(ValueError, match="into is a list of 2, and there are 1 queries"):
        await client.query_many_with_cache([(USER, [123])], into=[User, int])
    assert client.stats() == before


async def test_inside_a_transaction(client: Any, users: Connection) -> None:
    """Past the cache, in the form that is asked for; dict rows are plain lists, of money too."""
    async with client.transaction() as tx:
        assert type(await tx.query(MONEY, [ALL_DIGITS])) is list
        assert type(await client.query(MONEY, [ALL_DIGITS])) is list
        assert type(await client.query_to_promise(MONEY, [ALL_DIGITS])) is list
        bill = await client.query_with_cache(MONEY, [ALL_DIGITS], into=Bill, one=True)
        assert str(bill.total) == ALL_DIGITS
        assert await client.query_with_cache(USER, [123], into=User, one=True) == ADA


async def test_a_stale_entry_that_does_not_fit(make_client: Callable[..., Any], users: Connection) -> None:
    """It is refreshed behind the reader's back all the same."""
    client = make_client(stale_while_revalidate=60)
    await client.query_with_cache(USER, [123], ["Id"], 1)
    with pytest.raises(RowMismatch):
        await client.query_with_cache(USER, [123], ["Id"], 1, into=Wrong, stale_while_revalidate=60)


async def test_large_results(client: Any, users: Connection) -> None:
    """They are read in parts where others wait, and whole."""
    query = (
        "WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < ?)"
        " SELECT id, REPEAT('x', 200) AS name FROM n"
    )
    for _ in range(2):
        rows = await client.query_with_cache(query, [1000], into=Named)
        assert [row.id for row in rows] == list(range(1, 1001))
        with pytest.raises(RowMismatch, match=r"\$\[0\]\.name"):
            await client.query_with_cache(query, [1000], into=Wrong)


def test_a_hit_without_a_form_has_no_more_frames(mysql_url: str, redis_url: str, users: Connection) -> None:
    """What is not used costs nothing: the same calls. A form that fits needs no generator, either."""
    from mysql_redis_cache import MRCClient

    def functions(**options: Any) -> list[str]:
        seen: list[str] = []

        def note(frame: Any, event: str, argument: object) -> None:
            if event == "call" and "mysql_redis_cache" in frame.f_code.co_filename:
                seen.append(frame.f_code.co_name)

        sys.setprofile(note)
        try:
            client.query_with_cache(USER, [123], ["Id"], **options)
        finally:
            sys.setprofile(None)
        return seen

    with MRCClient(mysql_url, redis_url) as client:
        for _ in range(3):
            client.query_with_cache(USER, [123], ["Id"], into=User)
        plain = functions()
        assert {"shape", "fitting"} & set(plain) == set()
        formed = functions(into=User)
        assert "shape" in formed
        assert {"_fitting", "fitting", "steps", "run"} & set(formed) == set()
