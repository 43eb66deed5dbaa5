"""Whatever bytes come in, events come out: broken, cut and made-up ones say that they are."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.binlog import Event, Reader, Undecodable, Unknown
from mysql_redis_cache.binlog.events import Corrupt, Ignorable
from mysql_redis_cache.binlog.rows import OpaqueRows
from tests.support.golden_binlogs import load_golden

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDED = [
    (server, name, place)
    for server, golden in load_golden().items()
    for name, packets in golden["packets"].items()
    for place in range(len(packets))
]
PACKETS = {
    (server, name): packets
    for server, golden in load_golden().items()
    for name, packets in golden["packets"].items()
}


def sealed(body: bytes) -> bytes:
    """An event with the right size and checksum, so that what is wrong with it lies deeper."""
    body = body[:9] + struct.pack("<I", len(body) + 4) + body[13:]
    return body + struct.pack("<I", zlib.crc32(body))


def read(before: Sequence[bytes], packet: bytes) -> list[Event]:
    reader = Reader(None)
    for each in before:
        list(reader.read(each))
    return list(reader.read(packet))


@st.composite
def mutilated(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """A recorded event with some bytes cut, changed or put in, and those before it as they were."""
    server, name, place = draw(st.sampled_from(RECORDED))
    packets = PACKETS[server, name]
    body = packets[place][:-4]
    start = draw(st.integers(19, len(body)))
    size = draw(st.integers(0, 8))
    put = draw(st.binary(max_size=8))
    rest = body[start + size :] if draw(st.booleans()) else b""
    return packets[:place], sealed(body[:start] + put + rest)


@given(mutilated())
def test_a_broken_event_is_read_as_something(mutilation: tuple[list[bytes], bytes]) -> None:
    """An event that is not what its type says never raises, and is never passed over."""
    before, packet = mutilation
    assert read(before, packet)


@given(st.sampled_from(RECORDED), st.data())
def test_a_changed_byte_is_noticed(recorded: tuple[str, str, int], data: st.DataObject) -> None:
    """With checksums on, one changed byte makes the event unknown, whatever it was."""
    server, name, place = recorded
    packets = PACKETS[server, name]
    packet = packets[place]
    if packet[4] in {4, 15}:  # before the description nobody knows of checksums
        return
    at = data.draw(st.integers(0, len(packet) - 1))
    changed = packet[:at] + bytes([packet[at] ^ data.draw(st.integers(1, 255))]) + packet[at + 1 :]
    (event,) = read(packets[:place], changed)
    assert isinstance(event, Unknown)
    assert isinstance(event, Corrupt) or 9 <= at < 13


@given(st.sampled_from(RECORDED), st.data())
def test_a_cut_event_is_noticed(recorded: tuple[str, str, int], data: st.DataObject) -> None:
    """An event of which a part is missing is unknown."""
    server, name, place = recorded
    packets = PACKETS[server, name]
    size = data.draw(st.integers(0, len(packets[place]) - 1))
    (event,) = read(packets[:place], packets[place][:size])
    assert isinstance(event, Unknown)


@given(st.binary(max_size=300))
def test_noise_is_unknown(data: bytes) -> None:
    """Bytes that are no event at all are one that says so."""
    (event,) = read([], data)
    assert isinstance(event, Unknown)


@given(st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=200), st.booleans())
def test_any_type_with_any_body_is_read_as_something(
    kind: int, flags: int, body: bytes, mariadb: bool
) -> None:
    """Whatever number a type has and whatever follows, there is an event; only ignorable ones are ignored."""
    packets = PACKETS["mariadb" if mariadb else "mysql", "rows"]
    header = struct.pack("<IBIIIH", 1, kind, 1, 0, 4, flags)
    events = read(packets[:2], sealed(header + body))
    assert events
    if any(isinstance(event, Ignorable) for event in events):
        assert flags & 0x80 or kind in {23, 24, 25, 30, 31, 32, 39, 166, 167, 168, 169, 170, 171}


@pytest.mark.parametrize("server", ["mariadb", "mysql"])
def test_rows_without_their_table_are_unknown(server: str) -> None:
    """Rows whose table was not described may be of any table."""
    packets = PACKETS[server, "rows"]
    rows = [packet for packet in packets if packet[4] in {23, 30}]
    (event,) = read(packets[:2], rows[0])
    assert isinstance(event, Unknown)
    assert not isinstance(event, OpaqueRows)


@pytest.mark.parametrize("server", ["mariadb", "mysql"])
def test_rows_that_end_early_name_their_table(server: str) -> None:
    """If the table is sure and its rows are not, only what hangs on the table has to go."""
    packets = PACKETS[server, "rows"]
    place = next(place for place, packet in enumerate(packets) if packet[4] in {23, 30})
    events = read(packets[:place], sealed(packets[place][:-6]))
    assert isinstance(events[-1], OpaqueRows)
    assert events[-1].table.name == "t"


def test_an_undecodable_value_says_why() -> None:
    """The reason is for people, and never shows what the value was."""
    packets = PACKETS["mysql", "partial_json"]
    (rows,) = read(packets[:-2], packets[-2])
    values = [value for column in rows.after for value in column if isinstance(value, Undecodable)]  # type: ignore[attr-defined]
    assert [value.reason for value in values] == [
        "only what changed within the JSON is in the log (binlog_row_value_options)"
    ]
