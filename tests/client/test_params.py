"""Params of every kind that a key and MySQL take, in every call that has params; and mappings."""

from __future__ import annotations

import enum
import threading
import time
import uuid
from collections import OrderedDict
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from mysql_redis_cache import MRCClient, MRCServer
from mysql_redis_cache.observe import Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

SELECT = "SELECT ? AS x"


class Id(str):
    """A str whose constructor wants more than the value, so that nothing can copy it."""

    __slots__ = ()

    def __new__(cls, kind: str, number: int) -> Self:
        return super().__new__(cls, f"{kind}-{number}")

    def __deepcopy__(self, memo: object) -> Any:
        raise TypeError("no copies")

    __reduce_ex__ = __deepcopy__  # type: ignore[assignment]


def stubborn(base: Any) -> Any:
    """A subclass of *base* that can neither be copied nor pickled, and shows something else than it holds."""

    def refuse(self: object, *_: object) -> Any:
        raise TypeError("no copies")

    hooks = {"__deepcopy__": refuse, "__copy__": refuse, "__reduce_ex__": refuse, "__str__": lambda _: "'"}
    return type(f"Stubborn{base.__name__}", (base,), hooks)


class Colour(enum.Enum):
    """Its members are values."""

    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    """Its members are numbers."""

    HIGH = 3


class Point(NamedTuple):
    """A tuple."""

    x: int
    y: int


MOMENT = time.struct_time((2026, 1, 2, 3, 4, 5, 4, 2, 0))
# Each with what MySQL says it is; lists go to a list of their own below.
VALUES: dict[str, tuple[Callable[[], Any], Any]] = {
    "memoryview": (lambda: memoryview(b"ab"), b"ab"),
    "memoryview with a stride": (lambda: memoryview(b"a-b-")[::2], b"ab"),
    "bytearray": (lambda: bytearray(b"\xff"), b"\xff"),
    "bytes subclass": (lambda: stubborn(bytes)(b"\xff"), b"\xff"),
    "str subclass": (lambda: Id("u", 1), "u-1"),
    "str that is no ASCII": (lambda: stubborn(str)("ä"), "ä"),
    "int subclass": (lambda: stubborn(int)(7), 7),
    "float subclass": (lambda: stubborn(float)(1.5), 1.5),
    "Decimal subclass": (lambda: stubborn(Decimal)("1.5"), 1.5),
    "datetime subclass": (lambda: stubborn(datetime)(2026, 1, 2), "2026-01-02 00:00:00"),
    "date subclass": (lambda: stubborn(date)(2026, 1, 2), "2026-01-02"),
    "struct_time": (lambda: MOMENT, "2026-01-02 03:04:05"),
    "UUID subclass": (lambda: stubborn(uuid.UUID)(int=1), str(uuid.UUID(int=1))),
    "Enum": (lambda: Colour.RED, "red"),
    "IntEnum": (lambda: Level.HIGH, 3),
}
LISTS: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, 2],
    "list subclass": lambda: stubborn(list)([1, 2]),
    "tuple": lambda: (1, 2),
    "tuple subclass": lambda: stubborn(tuple)((1, 2)),
    "namedtuple": lambda: Point(1, 2),
    "Enum of a tuple": lambda: Colour.PAIR,
    "list of subclasses": lambda: [stubborn(int)(1), Level.HIGH, memoryview(b"2"), Id("u", 2)],
}


async def in_every_call(client: Any, query: str, make: Callable[[], Any], names: Any) -> list[Any]:
    """Use a param in every call that has params; return what they gave."""
    key = client.get_key_from_query(query, [make()], names)
    read = await client.query_with_cache(query, [make()], names)
    many = await client.query_many_with_cache([(query, [make()], names)] * 2)
    assert await client.read_from_cache(query, [make()], names) == read
    assert client.get_key_from_query(query, [make()], names) == key
    assert await client.drop_query(query, [make()], names) is True
    await client.write_to_cache(query, "written", [make()], names)
    assert await client.read_from_cache(query, [make()], names) == "written"
    assert await client.with_cache(lambda: "called", query, [make()], names, refresh=True) == "called"
    assert await client.drop_outdated_cache(["A"], [make()]) == 1
    return [read, *many, await client.query(query, [make()])]


@pytest.mark.real
@pytest.mark.parametrize(("make", "x"), VALUES.values(), ids=VALUES)
async def test_what_a_key_and_mysql_take_is_taken_by_every_call(
    client: Any, make: Callable[[], Any], x: Any
) -> None:
    """Nothing is copied that need not be, so it does not matter whether it could be; hit and miss alike."""
    assert await in_every_call(client, SELECT, make, ["A"]) == [[{"x": x}]] * 4


@pytest.mark.parametrize("make", LISTS.values(), ids=LISTS)
async def test_lists_of_every_kind_are_taken_by_every_call(client: Any, make: Callable[[], Any]) -> None:
    """Their elements too."""
    answers = await in_every_call(client, "SELECT 1 IN (?) AS x", make, ["A"])

    assert answers == [[{"x": 1}]] * 4


async def test_cached_functions_take_them(client: Any) -> None:
    """As arguments."""
    if client.is_blocking:
        call = client.cached("v1", ["A"])(lambda value: str(type(value).__mro__[1].__name__))
        assert [call(Id("u", 1)), call("u-1")] == ["str", "str"]
    else:

        async def name(value: Any) -> str:
            return str(type(value).__mro__[1].__name__)

        call = client.cached("v1", ["A"])(name)
        assert [await call(Id("u", 1)), await call("u-1")] == ["str", "str"]


def containing_itself() -> list[Any]:
    """A list that has no end."""
    values: list[Any] = [1]
    values.append(values)
    return values


@pytest.mark.parametrize("make", [containing_itself, lambda: [containing_itself()]])
async def test_a_list_that_contains_itself_is_refused(client: Any, make: Callable[[], Any]) -> None:
    """By each call, as a ``ValueError``."""
    for call in (client.query, client.query_with_cache):
        with pytest.raises(ValueError, match="contains itself"):
            await call("SELECT 1 IN (?) AS x", [make()])
    for call in (client.read_from_cache, client.drop_query):
        with pytest.raises(ValueError, match="contains itself"):
            await call("v1", [make()])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda params: params.append(2), id="list of params"),
        pytest.param(lambda params: params[0].__setitem__(0, 98), id="bytearray"),
        pytest.param(lambda params: params[1].append(5), id="list in it"),
        pytest.param(lambda params: params[1][0].append(5), id="list in the list"),
        pytest.param(lambda params: params[2].__setitem__("a", 2), id="dict"),
    ],
)
async def test_params_changed_during_the_load_change_nothing(
    client: Any, change: Callable[[Any], Any]
) -> None:
    """What counts is what was passed; the entry lies under its key and is found by its pairs."""

    def make() -> list[Any]:
        return [bytearray(b"a"), [[1, 2]], {"a": 1}]

    params = make()
    key = client.get_key_from_query("v1", make(), ["Id"])

    assert await client.with_cache(lambda: change(params) or "loaded", "v1", params, ["Id"]) == "loaded"

    assert client.get_key_from_query("v1", make(), ["Id"]) == key
    assert await client.read_from_cache("v1", make(), ["Id"]) == "loaded"


async def test_a_buffer_changed_while_mysql_answers(client: Any, users: Connection) -> None:
    """The statement is sent with what was passed, and cached under that."""
    buffer, asked = bytearray(b"a"), threading.Event()
    original = client._core.database.pool.connection

    def connection(*args: Any, **kwargs: Any) -> Any:
        buffer[0] = ord("b")
        asked.set()
        return original(*args, **kwargs)

    client._core.database.pool.connection = connection
    assert await client.query_with_cache(SELECT, [buffer], ["A"]) == [{"x": b"a"}]
    assert asked.is_set()
    assert await client.read_from_cache(SELECT, [b"a"], ["A"]) == [{"x": b"a"}]


# None


async def test_none_for_params_and_names_where_there_are_none(client: Any) -> None:
    """In every call, by place and by name, as the peers' callers write it."""
    key = client.get_key_from_query("SELECT 1 AS x")
    for none in ((None, None), ([], None), ((), None), (None, ()), (None, [])):
        assert client.get_key_from_query("SELECT 1 AS x", *none) == key
        assert await client.query_with_cache("SELECT 1 AS x", *none) == [{"x": 1}]
        assert await client.query_many_with_cache([("SELECT 1 AS x", *none)]) == [[{"x": 1}]]
        assert await client.read_from_cache("SELECT 1 AS x", *none) == [{"x": 1}]
        assert await client.drop_query("SELECT 1 AS x", *none) is True
        await client.write_to_cache("SELECT 1 AS x", 2, *none)
        assert await client.with_cache(lambda: 3, "SELECT 1 AS x", *none) == 2
        assert await client.drop_query("SELECT 1 AS x", params=none[0], param_names=none[1]) is True
    assert await client.query_with_cache("SELECT 1 AS x", params=None, param_names=None) == [{"x": 1}]
    assert await client.query("SELECT 1 AS x", None) == [{"x": 1}]


async def test_none_for_names_of_a_cached_function_without_arguments(client: Any) -> None:
    """With arguments it is a slip, said at the decoration."""
    if client.is_blocking:
        assert client.cached("v1", None)(lambda: 1)() == 1
    else:

        async def one() -> int:
            return 1

        assert await client.cached("v1", None)(one)() == 1
    with pytest.raises(TypeError, match="list or tuple of str, not NoneType"):
        client.cached("v1", None)(lambda a: a)


async def test_none_for_names_of_params_is_refused(client: Any) -> None:
    """As in the peers: names that are missing are no names that were left out."""
    with pytest.raises(TypeError, match="list or tuple of str, got NoneType"):
        await client.query_with_cache(SELECT, [1], None)


# Mappings

NAMED = "SELECT name FROM users WHERE store_id = %(Store)s AND id IN %(Ids)s AND 7 %% 4 = 3"


@pytest.mark.parametrize("mapping", [dict, OrderedDict, MappingProxyType])
async def test_a_mapping_goes_straight_to_mysql(client: Any, users: Connection, mapping: type) -> None:
    """By ``query``, ``execute``, ``query_to_promise`` and in a transaction."""
    params = mapping({"Ids": (123, 124), "Store": 6})
    expected = [{"name": "Ada"}, {"name": "Bob"}]

    assert await client.query(NAMED, params) == expected
    assert await client.query_to_promise(NAMED, params) == expected
    written = await client.execute("UPDATE users SET name = %(n)s WHERE name <> %(n)s", mapping({"n": "Eve"}))
    assert written.affected_rows == 3
    async with client.transaction() as tx:
        await tx.execute(
            "UPDATE users SET %(set)s WHERE id = %(id)s", mapping({"id": 123, "set": {"name": "Z"}})
        )
        assert await tx.query(NAMED, params) == [{"name": "Z"}, {"name": "Eve"}]
        assert await client.query_with_cache(NAMED, params) == [{"name": "Z"}, {"name": "Eve"}]


async def test_a_mapping_in_cached_reads(client: Any, users: Connection, loads: Any) -> None:
    """Its names are the names of the params, in the order in which the query uses them; drops find them."""
    asked = loads(client)
    params = {"Ids": [123, 124], "Store": 6}
    expected = [{"name": "Ada"}, {"name": "Bob"}]

    for each in (params, dict(reversed(params.items())), MappingProxyType(params)):
        assert await client.query_with_cache(NAMED, each) == expected
        assert await client.query_many_with_cache([(NAMED, each), (NAMED, each, None)]) == [expected] * 2
        assert await client.read_from_cache(NAMED, each) == expected
        assert client.get_key_from_query(NAMED, each).startswith("Store=6_Ids=123,124_")
    assert len(asked) == 1
    assert await client.drop_outdated_cache(["Ids", "Store"], [124, 6]) == 1
    assert await client.with_cache(lambda: "other", NAMED, params) == "other"
    await client.write_to_cache(NAMED, "third", params)
    assert await client.query_with_cache(NAMED, params) == "third"
    assert await client.drop_query(NAMED, params) is True


async def test_a_key_shows_those_that_param_names_picks(client: Any, users: Connection) -> None:
    """By name, in whatever order; the others count as params without a name."""
    one, other = {"Ids": [123], "Store": 6}, {"Ids": [124], "Store": 6}

    assert await client.query_with_cache(NAMED, one, ["Store"]) == [{"name": "Ada"}]
    assert await client.query_with_cache(NAMED, other, ("Store",)) == [{"name": "Bob"}]
    key = client.get_key_from_query(NAMED, one, ["Store"])
    assert key.startswith("Store=6_")
    assert "Ids" not in key
    both = [
        client.get_key_from_query(NAMED, one, names) for names in (["Ids", "Store"], ["Store", "Ids"], None)
    ]
    assert len(set(both)) == 1
    assert await client.drop_outdated_cache(["Store"], [6]) == 2


@pytest.mark.parametrize("index", [False, True])
async def test_a_mapping_s_entry_is_found_by_a_server(
    make_client: Callable[..., Any], users: Connection, redis_url: str, index: bool
) -> None:
    """By sweep and by index."""
    client = make_client(index=index)
    await client.query_with_cache(NAMED, {"Ids": [123, 125], "Store": 7})

    with MRCServer(redis_url, index=index) as server:
        assert server.drop_outdated_cache(["Ids"], [125]) == 1


async def test_a_mapping_changed_during_the_load_changes_nothing(client: Any) -> None:
    """Its values are taken when the call is made."""
    params = {"Ids": [1], "Store": 6}

    def load() -> str:
        params["Store"] = 7
        params["Ids"].append(2)
        return "loaded"

    assert await client.with_cache(load, NAMED, params) == "loaded"
    assert await client.read_from_cache(NAMED, {"Ids": [1], "Store": 6}) == "loaded"


BAD_MAPPINGS = {
    "missing": ({"Store": 6}, None, ValueError, "lack 'Ids'"),
    "unused": ({"Store": 6, "Ids": [1], "Id": 1}, None, ValueError, "have 'Id'"),
    "shown": ({"Store": 6, "Ids": [1]}, ["Shop"], ValueError, "param_names has 'Shop'"),
    "a str as names": ({"Store": 6, "Ids": [1]}, "Store", TypeError, "param_names must be a list"),
    "value": ({"Store": {6}, "Ids": [1]}, None, TypeError, "set"),
    "huge": ({"Store": 10**82, "Ids": [1]}, None, ValueError, r"params\['Store'\] has more digits"),
    "a set": ({"Store", "Ids"}, None, TypeError, "list or tuple, not set"),
    "a generator": ((n for n in "ab"), None, TypeError, "list or tuple, not generator"),
}


@pytest.mark.parametrize(("params", "names", "error", "says"), BAD_MAPPINGS.values(), ids=BAD_MAPPINGS)
async def test_a_bad_mapping_is_refused(
    client: Any, params: Any, names: Any, error: type[Exception], says: str
) -> None:
    """Before anything is sent, with the names."""
    with pytest.raises(error, match=says):
        await client.query_with_cache(NAMED, params, names)
    assert client.stats() == Stats(pool_size=10)


def test_copies_are_made_of_what_can_change_only(mysql_url: str) -> None:
    """A tuple of plain values costs no copies; objects are handed on as they are."""
    with MRCClient(mysql_url) as client:
        given = [Id("u", 1), ("a", "b"), ["a", "b"], (Id("u", 1), [2]), memoryview(b"a"), 7]
        read = client._core.reads.of_function("v1", given, (), 60)

        taken = read.params
        assert (taken[0] is given[0], taken[1] is given[1], taken[2] is given[2]) == (True, True, False)
        assert taken[3][0] is given[3][0]
        assert taken[1:] == (("a", "b"), ["a", "b"], [Id("u", 1), [2]], b"a", 7)
