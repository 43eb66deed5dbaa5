"""Typed rows: the class or type that was asked for, from the same JSON as the dicts."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.errors import RowMismatch, TooManyRows
from mysql_redis_cache.values import codec, fitting, shape_of
from mysql_redis_cache.values.adjusting import adjust_columns
from mysql_redis_cache.values.hints import columns_of

ROME = ZoneInfo("Europe/Rome")


class State(Enum):
    NEW = "new"
    PAID = "paid"


class Item(msgspec.Struct):
    sku: str
    price: Decimal


@dataclass
class Record:
    id: int
    total: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    uid: UUID
    state: State
    paid: bool
    items: list[Item]
    note: str | None = None


@attrs.frozen
class Attributes:
    id: int
    total: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    uid: UUID
    state: State
    paid: bool
    items: list[Item]
    note: str | None = None


class Struct(msgspec.Struct, frozen=True):
    id: int
    total: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    uid: UUID
    state: State
    paid: bool
    items: list[Item]
    note: str | None = None


class Named(NamedTuple):
    id: int
    total: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    uid: UUID
    state: State
    paid: bool
    items: list[Item]
    note: str | None = None


class Dict(TypedDict):
    id: int
    total: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    uid: UUID
    state: State
    paid: bool
    items: list[Item]
    note: str | None


class ModelItem(pydantic.BaseModel):
    sku: str
    price: float


class Model(pydantic.BaseModel):
    id: int
    total: Decimal
    at: datetime
    day: date
    took: timedelta
    photo: bytes
    uid: UUID
    state: State
    paid: bool
    items: list[ModelItem]
    note: str | None = None


CLASSES = [Record, Attributes, Struct, Named, Dict, Model]
UID = UUID("12345678-1234-5678-1234-567812345678")
ROW: dict[str, Any] = {
    "id": 1,
    "total": Decimal("12345678901234567890.10"),
    "at": "2025-12-23T10:30:00.250000",
    "day": "2025-12-23",
    "took": "-838:59:58.5",
    "photo": b"\xff\x00",
    "uid": str(UID),
    "state": "paid",
    "paid": 1,
    "items": [{"sku": "a", "price": Decimal("0.10")}],
    "note": None,
    "more": "columns are left out",
}
VALUES = {
    "id": 1,
    "total": Decimal("12345678901234567890.10"),
    "at": datetime(2025, 12, 23, 10, 30, 0, 250_000),
    "day": date(2025, 12, 23),
    "took": -timedelta(hours=838, minutes=59, seconds=58.5),
    "uid": UID,
    "state": State.PAID,
    "paid": True,
    "note": None,
}


def written(**changes: Any) -> bytes:
    """The JSON of one row, with other values in some columns."""
    return codec.encode([{**ROW, **changes}])


def typed(into: Any, payload: bytes, zone: Any = None, **options: Any) -> Any:
    """What a caller gets."""
    return fitting(shape_of(into, zone, **options).decode(payload))


def fields(row: Any) -> dict[str, Any]:
    """The columns of a typed row."""
    if isinstance(row, dict):
        return row
    return {name: getattr(row, name) for name in ROW if hasattr(row, name)}


@pytest.mark.parametrize("photo", [b"\xff\x00", None])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_row_in_every_kind_of_class(kind: Any, photo: bytes | None) -> None:
    """Real types in each, all digits of money, bytes or none, and columns beyond those of the class."""
    payload = written(photo=photo or b"")

    (row,) = typed(kind, payload)

    assert isinstance(row, dict if kind is Dict else kind)
    found = fields(row)
    assert {name: found[name] for name in VALUES} == VALUES
    assert str(found["total"]) == "12345678901234567890.10"
    assert found["photo"] == (photo or b"")
    assert (found["items"][0].sku, float(found["items"][0].price)) == ("a", 0.1)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("zone", [UTC, ROME, timezone(timedelta(hours=-5))])
def test_moments_are_of_the_zone(kind: Any, zone: Any) -> None:
    """A DATETIME column is the wall clock of it."""
    (row,) = typed(kind, written(), zone)

    at = fields(row)["at"]
    assert at == datetime(2025, 12, 23, 10, 30, 0, 250_000, zone)
    assert at.utcoffset() == zone.utcoffset(datetime(2025, 12, 23, 10, 30))


def test_only_columns_are_moments_of_the_zone() -> None:
    """What a JSON column or a text holds under the same name is left alone."""

    class Event(msgspec.Struct):
        at: datetime
        text: str
        meta: dict[str, str]

    text = '{"at":"2025-12-23T10:30:00"}'
    payload = json.dumps([{"at": text[7:26], "text": text, "meta": {"at": text[7:26]}}]).encode()

    (event,) = typed(Event, payload, UTC)

    assert (event.text, event.meta) == (text, {"at": "2025-12-23T10:30:00"})
    assert event.at == datetime(2025, 12, 23, 10, 30, tzinfo=UTC)


names = st.sampled_from(["at", '"at', 'x"at', "at,", "{at", "é", "a.t", "at\\\\"]) | st.text(max_size=5)
texts = st.text('at\\\\":,{}[]T', max_size=12) | st.sampled_from(
    ['},{"at":"', '{"at":', "2025-12-23T10:30:00"]
)


@given(st.lists(st.dictionaries(names, texts | st.lists(texts, max_size=2), max_size=4), max_size=4))
def test_nothing_else_is_changed(rows: list[dict[str, Any]]) -> None:
    """Whatever names and texts look like: moments of the column get an offset, all else is as it was."""

    class Event(TypedDict, total=False):
        at: datetime

    adjust = adjust_columns(columns_of(Event), UTC)
    assert adjust is not None
    moment = "2025-12-23T10:30:00"
    expected = [
        {name: f"{cell}Z" if name == "at" and cell == moment else cell for name, cell in row.items()}
        for row in rows
    ]

    assert json.loads(adjust(codec.encode(rows))) == expected
    nested = [{**row, "more": {"at": moment}} for row in rows]
    assert json.loads(adjust(codec.encode(nested))) == [{**row, "more": {"at": moment}} for row in expected]


def test_a_named_tuple_has_its_defaults() -> None:
    """As where it is made by hand."""
    assert typed(Item, b'[{"sku":"a","price":5e0}]') == [Item("a", Decimal(5))]

    class Pair(NamedTuple):
        a: int
        b: str = "none"

    assert typed(Pair, b'[{"a":1},{"a":2,"b":"x"}]') == [Pair(1), Pair(2, "x")]


@dataclass
class Defaults:
    a: int
    b: list[int] = field(default_factory=list)
    c: Decimal = Decimal(1)


@dataclass(frozen=True)
class Frozen:
    a: int
    b: str = "x"


@dataclass(kw_only=True)
class Keywords:
    a: int
    b: str = "x"


@dataclass
class Derived:
    a: int
    twice: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.twice = 2 * self.a


class Heir(Defaults):
    def __init__(self, a: int) -> None:
        raise AssertionError("nobody calls it")


@pytest.mark.parametrize(
    ("into", "row"),
    [
        (Defaults, Defaults(1)),
        (Frozen, Frozen(1)),
        (Keywords, Keywords(a=1)),
        (Derived, Derived(1)),
    ],
)
def test_dataclasses_of_all_kinds(into: Any, row: Any) -> None:
    """They are what they would be if they were made by hand, and each has defaults of its own."""
    first, second = typed(into, b'[{"a":1},{"a":1}]')

    assert first == second == row
    assert type(first) is into
    assert into is not Defaults or first.b is not second.b


def test_a_class_with_a_constructor_of_its_own() -> None:
    """It is filled in without it, as by msgspec."""
    (heir,) = typed(Heir, b'[{"a":1}]')

    assert (type(heir), heir.a, heir.b) == (Heir, 1, [])


def test_renamed_fields_are_found_by_their_columns() -> None:
    """The names that a class gives to the outside are those of the columns."""

    class Renamed(msgspec.Struct, rename="camel"):
        took_long: timedelta

    class Aliased(pydantic.BaseModel):
        took_long: timedelta = pydantic.Field(alias="tookLong")

    payload = b'[{"tookLong":"01:00:00"}]'
    assert typed(Renamed, payload)[0].took_long == timedelta(hours=1)
    assert typed(Aliased, payload)[0].took_long == timedelta(hours=1)


@pytest.mark.parametrize(
    ("into", "payload", "values"),
    [
        (int, b'[{"n":3},{"n":4}]', [3, 4]),
        (int, b'[{"SUM(n)":5e0}]', [5]),
        (Decimal, b'[{"n":3.10}]', [Decimal("3.10")]),
        (float, b'[{"n":3.10},{"n":5}]', [3.1, 5.0]),
        (bool, b'[{"n":1},{"n":0}]', [True, False]),
        (str, b'[{"n":"x"}]', ["x"]),
        (str, rb'[{"n":"\ud83d"}]', ["\ud83d"]),
        (int | None, b'[{"n":null},{"n":1}]', [None, 1]),
        (State, b'[{"n":"new"}]', [State.NEW]),
        (UUID, b'[{"n":"%b"}]' % str(UID).encode(), [UID]),
        (bytes, b'[{"n":{"type":"Buffer","data":[120]}}]', [b"x"]),
        (timedelta, b'[{"n":"838:59:59"}]', [timedelta(hours=838, minutes=59, seconds=59)]),
        (datetime, b'[{"n":"2025-12-23T10:30:00"}]', [datetime(2025, 12, 23, 10, 30)]),
        (datetime, b'[{"n":"2025-12-23T10:30:00.000Z"}]', [datetime(2025, 12, 23, 10, 30, tzinfo=UTC)]),
        (list[int], b'[{"n":[1,2]}]', [[1, 2]]),
        (dict[str, int], b'[{"a":1,"b":2}]', [{"a": 1, "b": 2}]),
    ],
)
def test_a_query_of_one_column(into: Any, payload: bytes, values: list[Any]) -> None:
    """A type that is no class of rows is that of the only column."""
    assert typed(into, payload) == values


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("changes", "path", "column", "found"),
    [
        ({"id": "secret"}, "$[0].id", "id", "str"),
        ({"state": "secret"}, "$[0].state", "state", "str"),
        ({"total": None}, "$[0].total", "total", "None"),
        ({"at": "0000-00-00 00:00:00"}, "$[0].at", "at", "str"),
        ({"items": [{"sku": 1, "price": Decimal(1)}]}, "$[0].items[0].sku", "items", "int"),
    ],
)
def test_a_row_that_does_not_fit(
    kind: Any, changes: dict[str, Any], path: str, column: str, found: str
) -> None:
    """Path, column and both types are said, and no value."""
    with pytest.raises(RowMismatch) as caught:
        typed(kind, written(**changes))

    error = caught.value
    assert (error.path, error.column, error.found, error.into) == (path, column, found, kind.__name__)
    assert error.expected
    assert "secret" not in str(error)
    assert "0000" not in str(error)
    assert error.__cause__ is None
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("kind", [each for each in CLASSES if each is not Dict])
def test_a_column_that_is_missing(kind: Any) -> None:
    """It is named."""
    row = {name: value for name, value in ROW.items() if name != "state"}

    with pytest.raises(RowMismatch, match=r"column state \(\$\[0\]\.state\) is missing, and .* wants State"):
        typed(kind, codec.encode([row]))


@pytest.mark.parametrize(
    ("into", "payload", "message"),
    [
        (int, b'[{"n":1},{"n":"x"}]', r"column n \(\$\[1\].n\) is str, and int wants int"),
        (int, b'[{"a":1,"b":2}]', r"\$\[0\] is a row of 2, and int wants one column"),
        (int, b"{}", r"\$ is dict, and int wants list"),
        (dict[str, int], b'[{"a":"x"}]', r"column a \(\$\[0\].a\) is str, and dict\[str, int\] wants int"),
    ],
)
def test_a_column_that_does_not_fit(into: Any, payload: bytes, message: str) -> None:
    """As with classes."""
    with pytest.raises(RowMismatch, match=message):
        typed(into, payload)


@pytest.mark.parametrize("base", [msgspec.Struct, pydantic.BaseModel])
def test_keys_inside_a_column_are_values_too(base: Any) -> None:
    """They are not shown."""

    class Report(base):  # type: ignore[misc]
        counts: dict[str, dict[str, int]]

    for counts in ({"secret": {"hidden": "x"}}, {"secret": {"hidden": 1, "b": "x"}}):
        with pytest.raises(
            RowMismatch, match=r"column counts \(\$\[0\]\.counts\[\.\.\.\]\[\.\.\.\]\) is str"
        ):
            typed(Report, codec.encode([{"counts": counts}]))


def test_keys_of_a_function_s_value_are_not_shown() -> None:
    """A dict has no columns."""
    with pytest.raises(RowMismatch, match=r"^\$\[\.\.\.\] is str, and dict\[str, int\] wants int$"):
        typed(dict[str, int], b'{"secret":"x"}', are_rows=False)


def test_what_a_class_raises_is_not_quoted() -> None:
    """A check of the class may put the value into its message."""

    @dataclass
    class Picky:
        id: int

        def __post_init__(self) -> None:
            raise ValueError(f"secret {self.id}")

    with pytest.raises(RowMismatch, match=r"^\$\[0\] is dict, and Picky wants another value$"):
        typed(Picky, b'[{"id":1}]')


@pytest.mark.parametrize("into", [*CLASSES, int, None])
@pytest.mark.parametrize("payload", [b"", b"[", b'[{"id":"x"', b'[{"id":1}]x', b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_no_misfit(into: Any, payload: bytes) -> None:
    """It is for the cache to mend: ``ValueError``, and never ``RowMismatch``."""
    with pytest.raises(ValueError, match=r"JSON|nests") as caught:
        shape_of(into, one=True).decode(payload)
    assert not isinstance(caught.value, RowMismatch)


def outcome(decode: Any, payload: bytes) -> str:
    """What a decoder makes of it."""
    try:
        return type(decode(payload)).__name__
    except RowMismatch:
        return "an error that was not caught"
    except ValueError:
        return "no JSON"


FORMS = [*CLASSES, int, Decimal, bytes, timedelta]


@given(st.sampled_from(FORMS), st.integers(), st.integers(1, 40), st.binary())
def test_damage_is_a_value_a_misfit_or_no_json(into: Any, start: int, length: int, noise: bytes) -> None:
    """Whatever lies under a key, readers see one of these three and nothing else."""
    payload = written()
    place = start % len(payload)
    damaged = payload[:place] + noise + payload[place + length :]

    for zone in (None, UTC):
        found = outcome(shape_of(into, zone).decode, damaged)
        assert found in {"list", "Misfit", "no JSON"}
        assert found != "no JSON" or outcome(codec.decode, damaged) == "no JSON"


def test_the_only_row() -> None:
    """Or None, where there is none; more are an error that counts them."""
    assert typed(int, b"[]", one=True) is None
    assert typed(int, b'[{"n":1}]', one=True) == 1
    assert typed(None, b'[{"n":1}]', one=True) == {"n": 1}
    with pytest.raises(TooManyRows, match="2 rows") as caught:
        typed(None, b"[{},{}]", one=True)
    assert pickle.loads(pickle.dumps(caught.value)).count == 2


class Unknown:
    """A class that says nothing of columns."""


@pytest.mark.parametrize(
    ("into", "message"),
    [
        ("Order", "must be a class or a type.*not str"),
        (3, "must be a class or a type.*not int"),
        ([int], "must be a class or a type.*not list"),
        (Unknown, "Unknown is no dataclass"),
        (datetime | str, "more than one str-like type"),
    ],
)
def test_what_nothing_can_be_read_as(into: Any, message: str) -> None:
    """It is a ``TypeError`` before anything is read."""
    for _ in range(2):
        with pytest.raises(TypeError, match=message):
            shape_of(into)


def test_equal_forms_are_one() -> None:
    """So that equal reads can be told."""
    assert shape_of(Record, UTC) is shape_of(Record, UTC)
    assert shape_of(Record, UTC) is not shape_of(Record, ROME)
    assert shape_of(None, one=True) is shape_of(None, one=True)


def test_large_results_are_read_a_part_at_a_time() -> None:
    """Others run in between; misfits are counted from the first row, and cuts in the wrong place heal."""
    breaks: list[int] = []
    payload = codec.encode([{"n": i, "text": '},{"' * 3} for i in range(20_000)])
    nested = codec.encode([{"n": 1, "items": [{"a": "x" * 9}] * 20_000}])

    class Numbered(msgspec.Struct):
        n: int

    def decode(payload: bytes) -> Any:
        return fitting(shape_of(Numbered).decode(payload, lambda: breaks.append(1)))

    assert [row.n for row in decode(payload)] == list(range(20_000))
    assert len(breaks) > 5
    assert decode(nested) == [Numbered(1)]
    with pytest.raises(RowMismatch, match=r"\$\[19999\]\.n"):
        decode(payload.replace(b'"n":19999', b'"n":"x"'))


@pytest.mark.parametrize(
    ("into", "value"),
    [
        (Item, Item("a", Decimal("1.10"))),
        (list[Item], [Item("a", Decimal("1.10"))]),
        (dict[str, Decimal], {"a": Decimal("12345678901234567890.10")}),
        (tuple[int, str], (1, "x")),
        (set[int], {1, 2}),
        (bytes, b"\xff"),
        (datetime, datetime(2025, 1, 2, tzinfo=UTC)),
        (datetime, datetime(2025, 1, 2)),
        (int | None, None),
        (State, State.NEW),
    ],
)
def test_a_value_of_a_function(into: Any, value: Any) -> None:
    """It is read as its type, whatever that is."""
    written = msgspec.to_builtins(value) if isinstance(value, (Item, set)) else value
    written = [msgspec.structs.asdict(each) for each in value] if into == list[Item] else written
    written = {"sku": "a", "price": Decimal("1.10")} if into is Item else written
    written = list(value) if isinstance(value, set) else written

    assert typed(into, codec.encode(written), are_rows=False) == value


def test_a_model_of_a_function() -> None:
    """Bytes and all digits of money reach pydantic too."""

    class Bill(pydantic.BaseModel):
        total: Decimal
        scan: bytes

    payload = codec.encode([{"total": Decimal("10.00"), "scan": b"\xff"}])
    (bill,) = typed(list[Bill], payload, are_rows=False)
    assert (str(bill.total), bill.scan) == ("10.00", b"\xff")


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4), max_size=9))
def test_all_digits_of_decimals(amounts: list[Decimal]) -> None:
    """Whatever their number."""
    payload = codec.encode([{"n": amount} for amount in amounts])
    if b"null" not in payload:
        assert [str(amount) for amount in typed(Decimal, payload)] == [str(amount) for amount in amounts]


@given(st.timedeltas(-timedelta(hours=838), timedelta(hours=838)))
def test_all_times(took: timedelta) -> None:
    """As the server writes them."""
    seconds, micros = divmod(abs(took) // timedelta(microseconds=1), 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    text = f"-{text}" if took < timedelta(0) else text
    text += f".{micros:06d}" if micros else ""

    assert typed(timedelta, codec.encode([{"t": text}])) == [took]


def test_readers_are_imported_when_they_are_needed() -> None:
    """Who wants dicts pays for none of them; pydantic and attrs are their users' own."""
    code = (
        "import sys, mysql_redis_cache\n"
        "assert not {'msgspec', 'pydantic', 'attrs', 'attr'} & set(sys.modules)\n"
        "from mysql_redis_cache.values import shape_of; shape_of(int).decode(b'[]')\n"
        "assert 'msgspec' in sys.modules and not {'pydantic', 'attrs', 'attr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
