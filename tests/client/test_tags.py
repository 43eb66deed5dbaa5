"""Tags, declared names, and drops by query and of everything: in every call that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCServer, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

pytestmark = [pytest.mark.anyio, pytest.mark.real]

QUERY = "SELECT ? AS a, ? AS b"
TAGS = {"Table": "orders", "Tenant": 3}


@pytest.fixture(params=[False, True], ids=["sweep", "index"])
def index(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def tagging(make_client: Callable[..., Any], index: bool) -> Any:
    return make_client(index=index)


@pytest.fixture
def server(redis_url: str, index: bool) -> Iterator[MRCServer]:
    with MRCServer(redis_url, index=index) as made:
        yield made


async def test_every_call_takes_tags(tagging: Any, server: MRCServer) -> None:
    """And a drop finds the entry by each, alone and with params."""
    await tagging.query_with_cache(QUERY, [1, 2], ["A"], tags=TAGS)
    await tagging.with_cache(lambda: 7, "f", [1], ["A"], tags=[("Table", "orders"), ("Table", "users")])
    await tagging.write_to_cache("g", 8, [1], ["A"], tags={"Table": "users"})
    await tagging.query_many_with_cache([Query(QUERY, [3, 4], ["A"], TAGS), (QUERY, [3, 4], ["A"])])

    assert server.drop_outdated_cache(["A"], [1], dry_run=True) == 3
    assert server.drop_outdated_cache(["A"], [3], dry_run=True) == 2
    assert server.drop_outdated_cache(["Table"], ["orders"], dry_run=True) == 3
    assert server.drop_outdated_cache(["Table", "Table"], ["orders", "users"], dry_run=True) == 1
    assert server.drop_outdated_cache(["Tenant", "A"], [3, 3]) == 1
    assert server.drop_outdated_cache(["Table"], ["users"]) == 2
    assert await tagging.read_from_cache("g", [1], ["A"], tags={"Table": "users"}) is None


async def test_tags_are_part_of_the_call(tagging: Any) -> None:
    """With others, or none, it is another entry; the same ones hit."""
    await tagging.write_to_cache("f", 1, tags=TAGS)
    await tagging.write_to_cache("f", 2)

    assert await tagging.read_from_cache("f", tags=TAGS) == 1
    assert await tagging.read_from_cache("f", tags=list(TAGS.items())) == 1
    assert await tagging.read_from_cache("f", tags={**TAGS, "Tenant": 4}) is None
    assert await tagging.read_from_cache("f", tags={}) == await tagging.read_from_cache("f") == 2
    assert await tagging.drop_query("f", tags=TAGS) is True
    assert await tagging.read_from_cache("f") == 2


async def test_a_hit_is_a_hit(tagging: Any, loads: Callable[[Any], list[str]]) -> None:
    """The second read of the same is answered from Redis."""
    asked = loads(tagging)
    for _ in range(2):
        assert await tagging.query_with_cache(QUERY, [1, 2], ["A", "B"], tags=TAGS) == [{"a": 1, "b": 2}]
    assert asked == [QUERY]


async def test_tags_are_taken_as_they_are_when_it_is_called(tagging: Any, server: MRCServer) -> None:
    """What the function does with the caller's list changes neither the key nor the index."""
    stores = [6, 7]

    def change() -> int:
        stores.append(8)
        return 1

    await tagging.with_cache(change, "f", tags={"Store": stores})

    assert server.drop_outdated_cache(["Store"], [8]) == 0
    assert server.drop_outdated_cache(["Store"], [7]) == 1


async def test_params_by_name(tagging: Any, server: MRCServer) -> None:
    """Names are the params' own: no order of theirs can mix them up."""
    text = "SELECT :Status AS status, :Tenant AS tenant"
    rows = [{"status": "new", "tenant": 3}]

    assert await tagging.query_with_cache(text, {"Tenant": 3, "Status": "new"}) == rows
    assert await tagging.query_with_cache(text, {"Status": "new", "Tenant": 3}, ["Tenant"], tags=TAGS) == rows
    assert await tagging.query(text, {"Status": "new", "Tenant": 3}) == rows
    assert server.drop_outdated_cache(["Tenant", "Status"], [3, "new"]) == 1
    assert server.drop_outdated_cache(["Tenant"], [3]) == 1


# Names that are declared


DECLARED = frozenset({"UserId", "Tenant"})


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.query_with_cache("SELECT ? AS a", [1], ["UserID"]),
        lambda c: c.query_with_cache("SELECT :UserID AS a", {"UserID": 1}),
        lambda c: c.query_many_with_cache([("SELECT ? AS a", [1], ["UserID"])]),
        lambda c: c.with_cache(lambda: 1, "f", tags={"UserID": 1}),
        lambda c: c.read_from_cache("f", [1], ["UserID"]),
        lambda c: c.write_to_cache("f", 1, tags=[("UserID", 1)]),
        lambda c: c.drop_outdated_cache(["Tenant", "UserID"], [1, 2]),
        lambda c: c.drop_many("UserID", [1, 2]),
        lambda c: c.drop_many("UserID", []),
        lambda c: c.drop_query("f", [1], ["UserID"]),
        lambda c: c.execute("DO 1", drops={"UserID": 1}),
    ],
)
@pytest.mark.parametrize("has_redis", [True, False])
async def test_other_names_are_refused(
    make_client: Callable[..., Any], redis_url: str, has_redis: bool, call: Any
) -> None:
    """In a read, a tag and a drop, with the nearest one; also where there is no Redis yet."""
    client = make_client(redis=redis_url if has_redis else None, names=DECLARED)
    with pytest.raises(ValueError, match=r"'UserID' is none of the declared ones; the nearest is 'UserId'"):
        await call(client)


async def test_declared_names_are_taken(make_client: Callable[..., Any], redis_url: str) -> None:
    """By clients and servers, of params, tags and drops, transactions included."""
    client = make_client(names=DECLARED)
    await client.with_cache(lambda: 1, "f", [1], ["UserId"], tags={"Tenant": 3})
    async with client.transaction() as tx:
        with pytest.raises(ValueError, match="nearest is 'Tenant'"):
            tx.drop_outdated_cache(["Tenat"], [3])
        tx.drop_outdated_cache(["Tenant"], [3])
    with MRCServer(redis_url, names=DECLARED) as server:
        assert server.drop_outdated_cache(["UserId"], [1]) == 0
        with pytest.raises(ValueError, match="nearest is 'UserId'"):
            server.drop_outdated_cache(["User"], [1])


@pytest.mark.parametrize(
    ("names", "error"),
    [("UserId", TypeError), (7, TypeError), ([7], TypeError), ({""}, ValueError), ([], ValueError)],
)
def test_bad_declarations_are_refused(names: Any, error: type[Exception], redis_url: str) -> None:
    """When the client or server is made."""
    with pytest.raises(error, match="name"):
        MRCServer(redis_url, names=names)


# By query, and all


async def test_all_entries_of_a_query(tagging: Any, server: MRCServer, redis_client: redis.Redis) -> None:
    """Whatever the params, named or not, folded or not, with tags or without; and no other query's."""
    for params, names in [([1, 2], ["A", "B"]), ([1, 2], ["A"]), (["null", 2], ["A", "B"]), ([3, b"x"], [])]:
        await tagging.query_with_cache(QUERY, params, names)
    await tagging.query_with_cache(QUERY, [1, 2], ["A"], tags=TAGS)
    await tagging.query_with_cache("SELECT 1 AS a")
    other = tagging.get_key_from_query("SELECT 1 AS a")

    assert server.drop_query(QUERY, any_params=True, dry_run=True) == 5
    assert await tagging.drop_query(QUERY, any_params=True) == 5
    assert [key for key in redis_client.scan_iter() if not key.startswith(b"mrc:")] == [other.encode()]
    assert await tagging.drop_query("SELECT 1 AS a", any_params=True) == 1


async def test_all_entries(
    make_client: Callable[..., Any], redis_client: redis.Redis, redis_url: str, index: bool
) -> None:
    """Of the namespace, and nothing of others; a load in flight caches nothing any more."""
    shop, blog = make_client(namespace="shop", index=index), make_client(namespace="blog", index=index)
    foreign = [b"session:1", b"shop", b"shop:session:1", b"shop:token_" + b"a" * 40, b"a" * 40]
    for key in foreign:
        redis_client.set(key, "x")
    for client in (shop, blog):
        await client.write_to_cache("f", 1)
        await client.write_to_cache("f", 1, [1, None], ["A"], tags=TAGS)

    def load() -> int:
        with MRCServer(redis_url, namespace="shop", index=index) as server:
            assert server.drop_all(dry_run=True) == 2
            assert server.drop_all() == 2
        return 2

    assert await shop.with_cache(load, "in flight", [1], ["A"]) == 2

    assert await shop.read_from_cache("in flight", [1], ["A"]) is None
    assert await shop.read_from_cache("f") is None
    assert await blog.read_from_cache("f") == 1
    assert set(foreign) <= set(redis_client.keys())
    assert await blog.drop_all() == 2


async def test_many_of_one_name(tagging: Any, server: MRCServer) -> None:
    """Any iterable of values, none too."""
    for user in range(10):
        await tagging.write_to_cache("f", user, [user], ["UserId"])

    assert await tagging.drop_many("UserId", (user for user in (1, 2, 77)), dry_run=True) == 2
    assert await tagging.drop_many("UserId", []) == 0
    assert await tagging.drop_many("UserId", {1, 2, 77}) == 2
    assert server.drop_many("UserId", range(3, 100)) == 7


@pytest.mark.parametrize("values", ["123", b"1", {1: 2}, 7, None, [[]], [object()]])
async def test_bad_values_are_refused(client: Any, values: Any) -> None:
    """A text is no list of its letters."""
    with pytest.raises((TypeError, ValueError)):
        await client.drop_many("UserId", values)


async def test_any_params_goes_with_none(client: Any) -> None:
    """Which of them would be meant?"""
    with pytest.raises(ValueError, match="leave params, names and tags out"):
        await client.drop_query(QUERY, [1, 2], any_params=True)
    with pytest.raises(ValueError, match="the query is empty"):
        await client.drop_query("", any_params=True)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "7", '{"namespace": null, "timeout": 1, "drops": [{"all": 1}]}']
)
async def test_what_is_no_failed_drop_is_refused(client: Any, text: str) -> None:
    """Before anything is dropped."""
    with pytest.raises(ValueError, match="this is not what"):
        await client.drop_again(text)
