"""What a server says of a session, and what is made of it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.database.effects import HARMLESS, effects_of
from mysql_redis_cache.database.endings import parse_end, parse_ok
from mysql_redis_cache.database.identity import Identity
from mysql_redis_cache.database.state import SessionState
from tests.support.replies import lenenc

AUTOCOMMIT, IN_TRANSACTION, NO_BACKSLASH, CHANGED = 2, 1, 512, 1 << 14
UTF8 = dict.fromkeys(["character_set_client", "character_set_connection", "character_set_results"], "utf8mb4")
STATE = b"\x02\x02\x011"
SCHEMA = b"\x01\x05\x04shop"
VARIABLE = b"\x00" + lenenc(lenenc(b"autocommit") + lenenc(b"ON"))
TRANSACTION = b"\x05\x09\x08T_______"


def ended(status: int, info: bytes = b"", changes: bytes = b"", first: int = 0) -> bytes:
    packet = bytes([first, 0, 0]) + struct.pack("<HH", status, 0)
    if info or changes:
        packet += lenenc(info)
    return packet + lenenc(changes) if status & CHANGED else packet


def begun(status: int = AUTOCOMMIT) -> SessionState:
    state = SessionState()
    state.hear(status)
    state.begin(status)
    return state


@pytest.mark.parametrize("info", [b"", b"Records: 1"])
@pytest.mark.parametrize("changes", [b"", STATE, SCHEMA + STATE])
def test_an_ok_packet_tells_of_changes(info: bytes, changes: bytes) -> None:
    """Behind its message, if the flag says so; at the end of rows too."""
    status = AUTOCOMMIT | (CHANGED if changes else 0)
    ok = parse_ok(ended(status, info, changes))

    assert (ok.status, ok.info.encode(), ok.changes) == (status, info, changes)
    assert parse_end(ended(status, info, changes, first=0xFE)) == (status, changes)
    assert parse_end(struct.pack("<BHH", 0xFE, 7, status)) == (status, b"")


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**14 - 1), st.binary(max_size=60)
)
def test_numbers_of_any_size(affected: int, insert_id: int, status: int, changes: bytes) -> None:
    """They move what follows them."""

    def number(value: int) -> bytes:
        if value < 251:
            return bytes([value])
        return b"\xfe" + struct.pack("<Q", value)

    packet = b"\0" + number(affected) + number(insert_id) + struct.pack("<HH", status | CHANGED, 3)
    ok = parse_ok(packet + b"\0" + lenenc(changes))

    assert (ok.affected_rows, ok.insert_id, ok.warnings, ok.changes) == (affected, insert_id, 3, changes)


@pytest.mark.parametrize(
    ("changes", "is_changed", "has_moved"),
    [(b"", False, False), (STATE, True, False), (SCHEMA, True, True), (VARIABLE + TRANSACTION, False, False)],
)
def test_changes_are_noted(changes: bytes, is_changed: bool, has_moved: bool) -> None:
    """Whatever statement they come with; a transaction is in the flags."""
    state = begun()
    state.send(HARMLESS)
    state.hear(AUTOCOMMIT, changes)

    assert (state.is_changed, state.is_unsure, state.has_moved) == (is_changed, is_changed, has_moved)


def test_a_new_beginning_forgets() -> None:
    """A reset is one."""
    state = begun()
    state.send(effects_of("SET ROLE reader"))
    state.move()
    state.hear_error()
    state.begin(AUTOCOMMIT)

    noted = (state.is_changed, state.is_unsure, state.has_moved, state.is_beyond_reset, state.is_used)
    assert noted == (False,) * 5


def test_an_error_leaves_doubt() -> None:
    """It has no flags; after a look at the session there is none."""
    state = begun()
    state.hear_error()
    assert state.is_unsure

    state.seen({**UTF8, "sql_mode": "ANSI_QUOTES,STRICT_ALL_TABLES"})
    assert not state.is_unsure
    assert state.ansi_quotes
    assert not state.narrow


def test_the_mode_counts_where_it_is_known() -> None:
    """A routine that sets it leaves the flag behind, though not the mode."""
    state = begun()
    state.hear(AUTOCOMMIT | NO_BACKSLASH)
    assert state.no_backslash_escapes
    state.seen({**UTF8, "sql_mode": ""})
    assert not state.no_backslash_escapes


def test_the_mode_of_one_statement_is_not_the_session_s() -> None:
    """Its flag is that statement's."""
    state = begun()
    state.send(effects_of("SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR SELECT 1"))
    state.hear(AUTOCOMMIT | NO_BACKSLASH)

    assert not state.no_backslash_escapes
    assert state.is_unsure


@pytest.mark.parametrize("name", list(UTF8))
@pytest.mark.parametrize("value", ["latin1", "utf8mb3", None])
def test_a_narrow_character_set_is_seen(name: str, value: str | None) -> None:
    """By its name, for the error."""
    state = begun()
    state.seen({"sql_mode": None, **UTF8, name: value})

    assert state.narrow == f"{name}={value}"


@pytest.mark.parametrize(
    ("first", "later", "is_at_rest"),
    [
        (AUTOCOMMIT, AUTOCOMMIT, True),
        (AUTOCOMMIT, AUTOCOMMIT | IN_TRANSACTION, False),
        (AUTOCOMMIT, 0, False),
        (0, 0, True),
        (0, AUTOCOMMIT, True),
        (0, IN_TRANSACTION, False),
    ],
)
def test_rest(first: int, later: int, is_at_rest: bool) -> None:
    """No transaction, and none that would begin by itself, unless the server never tells of that."""
    state = begun(first)
    state.hear(later)

    assert state.is_at_rest == is_at_rest


def test_a_server_is_known_by_its_name_and_its_start() -> None:
    """One that was restarted counts its connections anew."""
    one = Identity.of({"name": "a/3306"}, {"Value": "1000"})

    assert one.is_same(Identity.of({"name": "a/3306"}, {"Value": "1001"}))
    assert not one.is_same(Identity.of({"name": "b/3306"}, {"Value": "1000"}))
    assert not one.is_same(Identity.of({"name": "a/3306"}, {"Value": "5"}))
    assert not one.is_same(None)
    assert "server_uuid" in Identity.questions("8.4.0")[0]
    assert "server_uuid" not in Identity.questions("5.5.5-10.11.19-MariaDB")[0]


MARIADB = b"\x00" + lenenc(lenenc(b"last_gtid") + lenenc(b"0-1-7"))
MYSQL = b"\x03" + lenenc(b"\0" + lenenc(b"14dfcf09-e9e8-11f1-95ad-02fc00000001:4"))


@pytest.mark.parametrize(
    ("changes", "gtid"),
    [
        (MARIADB, "0-1-7"),
        (STATE + MARIADB + TRANSACTION, "0-1-7"),
        (MYSQL, "14dfcf09-e9e8-11f1-95ad-02fc00000001:4"),
        (TRANSACTION + MYSQL, "14dfcf09-e9e8-11f1-95ad-02fc00000001:4"),
        (VARIABLE + STATE, None),
    ],
)
def test_a_reply_tells_what_was_committed(changes: bytes, gtid: str | None) -> None:
    """As MySQL or MariaDB tells it, until the next statement."""
    state = begun()
    state.hear(AUTOCOMMIT, changes)
    assert state.gtid == gtid
    state.send(HARMLESS)
    assert state.gtid is None
