"""``get_many``: the rows of a list, each the entry of the read of its id alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import MRCServer, RowMismatch, TooManyRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import redis
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("users")]

LIST = "SELECT id, name, store_id FROM users WHERE id IN (?)"
ONE = "SELECT id, name, store_id FROM users WHERE id = ?"
ALL = "SELECT * FROM users WHERE id"
BY = {"key": "id", "name": "UserId"}
ADA = {"id": 123, "name": "Ada", "store_id": 6}
BOB = {"id": 124, "name": "Bob", "store_id": 6}
CY = {"id": 125, "name": "Cy", "store_id": 7}


def fill_table(users: Connection, rows: Iterable[tuple[int, str, int]]) -> None:
    """Insert some users."""
    with users.cursor() as cursor:
        cursor.executemany("INSERT INTO users VALUES (%s, %s, %s)", rows)


def leases(redis_client: redis.Redis) -> list[Any]:
    return list(redis_client.keys("*:lease"))


async def test_what_is_not_cached_is_one_query(client: Any, loads: Any) -> None:
    """One query for a cold list, none for a warm one, one for what is missing of a part-warm one."""
    asked = loads(client)

    assert await client.get_many(LIST, [123, 124], **BY) == {123: ADA, 124: BOB}
    assert asked == [LIST]
    assert await client.get_many(LIST, [124, 123], **BY) == {124: BOB, 123: ADA}
    assert asked == [LIST]
    assert await client.get_many(LIST, [123, 124, 125], **BY) == {123: ADA, 124: BOB, 125: CY}
    assert asked == [LIST, LIST]


async def test_ids_keep_their_order(client: Any) -> None:
    """Of the first of each; whatever the order of the rows."""
    for _ in ("miss", "hit"):
        assert [*await client.get_many(LIST, [125, 123, 125, 124], **BY)] == [125, 123, 124]


async def test_a_number_and_its_digits_are_one_read(client: Any, loads: Any) -> None:
    """The answer has both, as they were given, and each has a row of its own."""
    asked = loads(client)

    for _ in ("miss", "hit"):
        rows = await client.get_many(LIST, [123, "123"], **BY)
        assert rows == {123: ADA, "123": ADA}
        rows[123]["name"] = "changed"
        assert rows["123"] == ADA
    assert asked == [LIST]


@pytest.mark.parametrize(
    ("many", "single", "params"),
    [
        (LIST, ONE, [123]),
        (f"{ALL} in ( ? ) ORDER BY id", f"{ALL} = ? ORDER BY id", [123]),
        (f"{ALL} IN (%s)", f"{ALL} = %s", [123]),
        (f"{ALL} IN %s", f"{ALL} = %s", [123]),
        (f"{ALL} IN (:UserId)", f"{ALL} = :UserId", {"UserId": 123}),
    ],
    ids=["?", "around", "%s", "PyMySQL's", "named"],
)
async def test_each_is_the_entry_of_the_single_read(
    client: Any, loads: Any, many: str, single: str, params: Any
) -> None:
    """What either call fills, the other hits: the text with ``= ?`` in the place of ``IN (?)``."""
    asked = loads(client)
    await client.get_many(many, [123], **BY)
    assert await client.query_with_cache(single, params, ["UserId"]) == [ADA]
    assert asked == [many]

    await client.drop_outdated_cache(["UserId"], [123])
    await client.query_with_cache(single, params, ["UserId"])
    assert await client.get_many(many, [123], **BY) == {123: ADA}
    assert asked == [many, single]


async def test_a_drop_costs_one_row(client: Any, loads: Any, redis_url: str) -> None:
    """The others stay: the next list loads the one that was dropped."""
    await client.get_many(LIST, [123, 124, 125], **BY)
    with MRCServer(redis_url) as server:
        assert server.drop_outdated_cache(["UserId"], [124]) == 1
    asked: list[Any] = []
    query = client._core.database.query
    client._core.database.query = lambda text, params: asked.append(params) or query(text, params)

    await client.get_many(LIST, [123, 124, 125], **BY)
    assert asked == [[[124]]]


async def test_ids_without_a_row_are_remembered(client: Any, loads: Any, redis_client: redis.Redis) -> None:
    """They are left out of the answer, and asked for once in ``empty_ttl``."""
    asked = loads(client)

    for _ in ("miss", "hit"):
        assert await client.get_many(LIST, [123, 999], **BY, ttl=3600, empty_ttl=30) == {123: ADA}
    assert asked == [LIST]
    there, absent = (
        redis_client.ttl(client.get_key_from_query(ONE, [each], ["UserId"])) for each in (123, 999)
    )
    assert 3000 < there <= 3960
    assert 20 < absent <= 33


async def test_a_long_empty_ttl_is_found_by_drops(make_client: Callable[..., Any], redis_url: str) -> None:
    """An index must know of an entry for as long as it lives, however long that is."""
    client = make_client(index=True)
    await client.get_many(LIST, [123, 999], **BY, ttl=1, empty_ttl=900_000)

    with MRCServer(redis_url, index=True) as server:
        assert server.drop_outdated_cache(["UserId"], [999]) == 1


async def test_hits_and_misses_cost_round_trips_by_parts(
    make_client: Callable[..., Any], proxy_to: Callable[..., Proxy], redis_url: str, users: Connection
) -> None:
    """A hundred hits are one round trip, a hundred misses three: entries, leases, fills."""
    proxy = proxy_to(redis_url)
    client = make_client(redis=proxy.url)
    fill_table(users, [(number, "N", 1) for number in range(1000, 1101)])
    await client.get_many(LIST, [1100], **BY)  # connects, and has the scripts loaded
    before = proxy.round_trips

    await client.get_many(LIST, range(1000, 1100), **BY)
    assert proxy.round_trips - before == 3
    assert len(await client.get_many(LIST, range(1000, 1100), **BY)) == 100
    assert proxy.round_trips - before == 4


async def test_thousands_go_in_parts(
    client: Any, loads: Any, redis_client: redis.Redis, users: Connection
) -> None:
    """No query and no round trip has more than some hundreds; nothing is left behind."""
    fill_table(users, [(number, "N", 1) for number in range(1000, 2200)])
    asked = loads(client)

    for _ in ("miss", "hit"):
        rows = await client.get_many(LIST, range(1000, 2300), **BY)
        assert [*rows] == [*range(1000, 2200)]
    assert asked == [LIST] * 3
    assert len(redis_client.keys("UserId=*")) == 1300
    assert leases(redis_client) == []


async def test_without_redis_and_past_the_cache(
    make_client: Callable[..., Any], loads: Any, redis_client: redis.Redis
) -> None:
    """One query as well."""
    for client, options in ((make_client(redis=None), {}), (make_client(), {"cache": False})):
        asked = loads(client)
        assert await client.get_many(LIST, [124, 123, 999], **BY, **options) == {124: BOB, 123: ADA}
        assert asked == [LIST]
    assert redis_client.keys("*") == []


async def test_while_redis_is_away(make_client: Callable[..., Any], loads: Any) -> None:
    """Reads go on."""
    client = make_client(redis="redis://127.0.0.1:1")
    asked = loads(client)

    assert await client.get_many(LIST, [123, 999], **BY) == {123: ADA}
    assert asked == [LIST]
    assert len(client._core.flights) == 0


async def test_in_a_transaction(client: Any, loads: Any) -> None:
    """It is part of it, and caches nothing."""
    await client.get_many(LIST, [123], **BY)
    async with client.transaction() as tx:
        await tx.execute("UPDATE users SET name = 'Eve' WHERE id = 123")
        assert await client.get_many(LIST, [123], **BY) == {123: {**ADA, "name": "Eve"}}
    assert await client.get_many(LIST, [123], **BY) == {123: ADA}


async def test_refresh(client: Any, users: Connection) -> None:
    """Loads and fills whatever is cached."""
    await client.get_many(LIST, [123, 124], **BY)
    with users.cursor() as cursor:
        cursor.execute("UPDATE users SET name = 'Eve' WHERE id = 123")

    eve = {**ADA, "name": "Eve"}
    assert await client.get_many(LIST, [123, 124], **BY, refresh=True) == {123: eve, 124: BOB}
    assert await client.query_with_cache(ONE, [123], ["UserId"]) == [eve]


async def test_tags_are_those_of_the_single_read(client: Any, loads: Any) -> None:
    """Each entry carries them, and a drop of the table drops all."""
    asked = loads(client)
    await client.get_many(LIST, [123, 124], **BY, tags={"Table": "users"})
    await client.query_with_cache(ONE, [123], ["UserId"], tags={"Table": "users"})

    assert asked == [LIST]
    assert await client.drop_outdated_cache(["Table"], ["users"]) == 2


@dataclass
class User:
    id: int
    name: str


async def test_rows_in_a_class(client: Any) -> None:
    """As ``into=`` gives them elsewhere; what does not fit is said, and stays cached as it is."""
    query = "SELECT id, name FROM users WHERE id IN (?)"
    for _ in ("miss", "hit"):
        assert await client.get_many(query, [123], **BY, into=User) == {123: User(123, "Ada")}
    with pytest.raises(RowMismatch, match="name"):
        await client.get_many("SELECT id FROM users WHERE id IN (?)", [123], **BY, into=User)


async def test_all_digits_of_a_decimal(client: Any) -> None:
    """They go into each entry, though the rows came together."""

    @dataclass
    class Price:
        id: int
        total: Decimal

    query = "SELECT id, CAST(CONCAT('1.', id) AS DECIMAL(30, 20)) AS total FROM users WHERE id IN (?)"
    for _ in ("miss", "hit"):
        prices = await client.get_many(query, [125, 123], **BY, into=Price)
        assert prices == {
            125: Price(125, Decimal("1.12500000000000000000")),
            123: Price(123, Decimal("1.12300000000000000000")),
        }


async def test_more_than_one_row_of_an_id(client: Any) -> None:
    """That is no key: the single read has them all, and this call says so."""
    query, by = "SELECT id, store_id FROM users WHERE store_id IN (?)", {"key": "store_id", "name": "StoreId"}
    for _ in ("miss", "hit"):
        with pytest.raises(TooManyRows):
            await client.get_many(query, [6, 7], **by)
    single = query.replace("IN (?)", "= ?")
    assert await client.query_with_cache(single, [6], ["StoreId"]) == [
        {"id": 123, "store_id": 6},
        {"id": 124, "store_id": 6},
    ]


NAMES = "SELECT id, name FROM users WHERE name IN (?)"
BY_NAME = {"key": "name", "name": "Name"}


async def test_text_that_mysql_takes_for_another(client: Any) -> None:
    """The collation knows no case: each entry is what the single read gives, whatever is in the list."""
    for ids in (["ada", "Bob", "none"], ["ADA"], ["Ada", "aDA", "Bob"], ["Cy ", "Cy"]):
        rows = await client.get_many(NAMES, ids, **BY_NAME)
        for each in ids:
            alone = await client.query(NAMES.replace("IN (?)", "= ?"), [each])
            assert rows.get(each) == (alone[0] if alone else None)
            cached = await client.read_from_cache(NAMES.replace("IN (?)", "= ?"), [each], ["Name"])
            assert cached == alone


@pytest.mark.parametrize(
    "ids", [["Ann", "ann"], ["Zoé", "Zoe", "Bob"], ["Tim", "Tim "], [1, "1st", "Bob"]], ids=str
)
async def test_texts_that_are_one_for_mysql_and_have_rows_each(
    client: Any, users: Connection, ids: list[Any]
) -> None:
    """Either alone has both rows, so that neither is a key; no entry holds half of that."""
    fill_table(users, [(n, str(each), 9) for n, each in enumerate(ids, 900) if each != "Bob"])

    with pytest.raises(TooManyRows):
        await client.get_many(NAMES, ids, **BY_NAME)
    for each in ids:
        single = NAMES.replace("IN (?)", "= ?")
        rows = await client.query_with_cache(single, [each], ["Name"])
        assert rows == await client.query(single, [each])


async def test_texts_without_a_row_are_one_more_query(client: Any, loads: Any) -> None:
    """It says that no other's row is theirs."""
    asked = loads(client)

    assert [*await client.get_many(NAMES, ["Ada", "Zoe", "Yan"], **BY_NAME)] == ["Ada"]
    assert asked == [NAMES, NAMES]


@pytest.mark.parametrize("ids", [["123", " 124"], [123.0, None], [True, 123], ["123abc", "124"]])
async def test_ids_of_other_types(client: Any, ids: list[Any]) -> None:
    """Whatever MySQL makes of them alone, it is in their entries."""
    with_warnings = await client.get_many(LIST, ids, **BY)
    for each in ids:
        alone = await client.query(ONE, [each])
        assert with_warnings.get(each) == (alone[0] if alone else None)


async def test_nothing_asked(make_client: Callable[..., Any]) -> None:
    """Nothing sent; an iterator will do for ids."""
    assert await make_client(mysql="mysql://127.0.0.1:1", redis=None).get_many(LIST, iter(()), **BY) == {}


async def test_rows_without_the_key(client: Any, redis_client: redis.Redis) -> None:
    """Nobody could tell whose each is; no lease is left."""
    with pytest.raises(ValueError, match=r"the rows have no column 'nr', by which .*: id, name, store_id"):
        await client.get_many(LIST, [123, 124], key="nr", name="UserId")
    await_free(redis_client)


async def test_a_failing_query_leaves_no_lease(client: Any, redis_client: redis.Redis) -> None:
    """The server's error comes through, and the ids are free at once."""
    with pytest.raises(pymysql.ProgrammingError, match="no_such_table"):
        await client.get_many("SELECT id FROM no_such_table WHERE id IN (?)", range(20), **BY)

    await_free(redis_client)
    assert len(client._core.flights) == 0


def await_free(redis_client: redis.Redis) -> None:
    """Wait until the leases are given back, which happens behind the caller."""
    done = threading.Event()
    for _ in range(500):
        if not leases(redis_client):
            return
        done.wait(0.01)
    raise AssertionError("leases are left")


async def test_stale_if_error(make_client: Callable[..., Any], redis_client: redis.Redis) -> None:
    """Where all that is missing is in its grace, a failed load gives what was cached."""
    client = make_client(stale_if_error=60)
    await client.get_many(LIST, [123, 124], **BY, ttl=1)
    for key in redis_client.keys("UserId=*"):
        redis_client.pexpire(key, 30_000)

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise pymysql.OperationalError(1205, "Lock wait timeout exceeded")

    client._core.database.query = failing
    assert await client.get_many(LIST, [123, 124], **BY) == {123: ADA, 124: BOB}
    with pytest.raises(pymysql.OperationalError):
        await client.get_many(LIST, [123, 125], **BY)
    await_free(redis_client)


async def test_crossed_lists_share_loads(make_client: Callable[..., Any]) -> None:
    """Two clients, as two processes, want the same ids at once: each id is loaded once, none waits long."""
    clients = [make_client(wait_timeout=5) for _ in range(2)]
    both_loading, asked = threading.Barrier(2), []

    def held(query: Any, first: list[int]) -> Any:
        def run(text: str, params: Any, **options: Any) -> Any:
            asked.extend(params[0] if isinstance(params[0], list) else params)
            if first.pop() if first else False:
                both_loading.wait(10)
            return query(text, params, **options)

        return run

    for each in clients:
        each._core.database.query = held(each._core.database.query, [1])
    # The second has a part of its own, so that both load at the same time, whoever comes first.
    lists = [[*range(600)], [*range(1000, 1500), *range(599, -1, -1)]]

    outcomes = await clients[0].together(
        [partial(clients[number].get_many, LIST, lists[number], **BY) for number in range(2)]
    )

    assert outcomes == [{123: ADA, 124: BOB, 125: CY}, {125: CY, 124: BOB, 123: ADA}]
    assert sorted(asked) == [*range(600), *range(1000, 1500)]


async def test_it_joins_and_is_joined(client: Any, loads: Any) -> None:
    """A single read that comes meanwhile shares the list's load, and the list that of a single read."""
    loading, may_end = threading.Event(), threading.Event()
    query = client._core.database.query
    asked: list[str] = []

    def held(text: str, params: Any) -> Any:
        asked.append(text)
        if text == LIST:
            loading.set()
            may_end.wait(10)
        return query(text, params)

    client._core.database.query = held

    async def single() -> Any:
        await client.happens(loading)
        return await client.query_with_cache(ONE, [123], ["UserId"])

    async def other_list() -> Any:
        await client.happens(loading)
        return await client.get_many(LIST, [123, 124], **BY)

    def watch() -> None:
        flight = None
        if loading.wait(10):
            flight = client._core.flights.join(client.get_key_from_query(ONE, [123], ["UserId"]).encode())[0]
        for _ in range(1000):
            if flight is not None and len(flight._wakers) == 2:
                break
            threading.Event().wait(0.01)
        may_end.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    outcomes = await client.together([lambda: client.get_many(LIST, [123, 124], **BY), single, other_list])
    watcher.join()

    assert outcomes == [{123: ADA, 124: BOB}, [ADA], {123: ADA, 124: BOB}]
    assert asked == [LIST]


async def test_a_drop_between_load_and_fill(
    client: Any, users: Connection, redis_client: redis.Redis, redis_url: str
) -> None:
    """The fill of that id alone is refused; the list gives what it loaded, and the next read the new row."""
    query = client._core.database.query

    def overtaken(text: str, params: Any) -> Any:
        rows = query(text, params)
        client._core.database.query = query
        with users.cursor() as cursor:
            cursor.execute("UPDATE users SET name = 'Eve' WHERE id = 123")
        with MRCServer(redis_url) as server:
            server.drop_outdated_cache(["UserId"], [123])
        return rows

    client._core.database.query = overtaken

    assert await client.get_many(LIST, [123, 124], **BY) == {123: ADA, 124: BOB}
    assert [*redis_client.keys("UserId=*")] == [client.get_key_from_query(ONE, [124], ["UserId"]).encode()]
    assert await client.get_many(LIST, [123, 124], **BY) == {123: {**ADA, "name": "Eve"}, 124: BOB}
