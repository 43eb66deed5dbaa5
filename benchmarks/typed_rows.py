"""Typed rows: a hit, and the decoding in it, as dicts and in each kind of class."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
from measure import Plan, Timings, interleave
from report import duration, table, times
from workload import BIG_STORE, FEW_QUERY, MANY_QUERY, TTL, Databases, Workload

from mysql_redis_cache import MRCClient
from mysql_redis_cache.values import codec, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Operation

DICTS = "dicts"


class Struct(msgspec.Struct):
    id: int
    user_id: int
    store_id: int
    sku: str
    qty: int
    price: Decimal
    state: str
    placed: datetime


@dataclass
class Record:
    id: int
    user_id: int
    store_id: int
    sku: str
    qty: int
    price: Decimal
    state: str
    placed: datetime


class Columns(TypedDict):
    id: int
    user_id: int
    store_id: int
    sku: str
    qty: int
    price: Decimal
    state: str
    placed: datetime


@dataclass(frozen=True, slots=True)
class Form:
    """One row of the table.

    Attributes:
        title: what it is called.
        into: the class; None for dicts.
        has_zone: whether it is read by a client with ``timezone="UTC"``.
    """

    title: str
    into: Any
    has_zone: bool = False


def forms() -> list[Form]:
    """All of them, those of pydantic if it is installed."""
    known = [
        Form(DICTS, None),
        Form("msgspec Struct", Struct),
        Form("dataclass", Record),
        Form("TypedDict", Columns),
        Form('msgspec Struct, timezone="UTC"', Struct, has_zone=True),
    ]
    try:
        from pydantic import create_model
    except ModuleNotFoundError:
        return known
    fields: Any = {name: (hint, ...) for name, hint in Record.__annotations__.items()}
    hints = {"int": int, "str": str, "Decimal": Decimal, "datetime": datetime}
    model = create_model("Model", **{name: (hints[hint], ...) for name, (hint, _) in fields.items()})
    return [*known, Form("pydantic model", model)]


def typed_text(workload: Workload, *, quick: bool) -> str:
    """Measure, and say it in a table."""
    redis = workload.patient_redis(Databases.OURS)
    with (
        MRCClient(workload.mysql, redis, namespace="typed") as plain,
        MRCClient(workload.mysql, redis, namespace="typed", timezone="UTC") as zoned,
    ):
        clients = {False: plain, True: zoned}
        few = _measured(clients, (FEW_QUERY, [7], ["UserId"], TTL), Plan(15 if quick else 60, 100))
        many = _measured(clients, (MANY_QUERY, [BIG_STORE], ["StoreId"], TTL), Plan(5 if quick else 25, 1))
    rows = []
    for form in forms():
        cells = [form.title]
        for hits, decodings in (few, many):
            ratio = "1" if form.title == DICTS else times(decodings.ratio(form.title, DICTS))
            cells += [_least(hits, form), _least(decodings, form), ratio]
        rows.append(cells)
    head = ["rows as", "hit, 10 rows", "decoding in it", "of that of dicts"]
    return table([*head, "hit, 10,000 rows", "decoding in it", "of that of dicts"], rows)


def _least(timings: Timings, form: Form) -> str:
    return duration(min(timings.samples[form.title]))


def _measured(clients: dict[bool, MRCClient], asked: Any, plan: Plan) -> tuple[Timings, Timings]:
    """Whole hits, and the decoding alone, of one query in every form."""
    clients[False].query_with_cache(*asked)
    payload = _payload(clients[False], asked)
    hits: dict[str, Operation] = {}
    decodings: dict[str, Operation] = {}
    for form in forms():
        client = clients[form.has_zone]
        hits[form.title] = _timed(lambda c=client, f=form: c.query_with_cache(*asked, into=f.into))
        decode = codec.decode if form.into is None else shape_of(form.into, _zone(client)).decode
        decodings[form.title] = _timed(lambda d=decode: d(payload, None, True))
    return interleave(hits, plan), interleave(decodings, plan)


def _payload(client: MRCClient, asked: Any) -> bytes:
    key = client.get_key_from_query(*asked[:3])
    found = client._core.cache.entries.get(key.encode())  # type: ignore[union-attr]  # there is a cache
    assert isinstance(found, bytes)
    return found


def _zone(client: MRCClient) -> Any:
    return client._core.options.zone


def _timed(call: Callable[[], object]) -> Operation:
    def run(calls: int) -> float:
        began = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - began

    return run
