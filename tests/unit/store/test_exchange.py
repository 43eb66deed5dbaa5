"""An exchange takes what comes, in whatever pieces, and is of no use once anything else has come."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hiredis
import pytest
from redis import exceptions as redis_errors
from redis._parsers.hiredis import NOT_ENOUGH_DATA

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store import exchange
from mysql_redis_cache.store.exchange import Exchange, fits, suits
from mysql_redis_cache.store.failures import Refused
from mysql_redis_cache.store.pinned import packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Commands = Sequence[Sequence[bytes]]

TWO = [(b"PTTL", b"key"), (b"GET", b"key")]


def error_of(text: str) -> Exception:
    kind = redis_errors.ReadOnlyError if text.startswith("READONLY") else redis_errors.ResponseError
    return kind(text)


class Pool:
    """Notes what becomes of a connection."""

    def __init__(self) -> None:
        self.fates: list[str] = []

    def take_back(self, connection: object) -> None:
        self.fates.append("back")

    def discard(self, connection: object) -> None:
        self.fates.append("gone")

    def drain(self) -> None:
        self.fates.append("drained")


class Rig:
    """An exchange, and the server's end of its socket."""

    def __init__(self, timeout: float = 10.0) -> None:
        here, self.server = socket.socketpair()
        here.settimeout(10)
        reader = hiredis.Reader(
            protocolError=redis_errors.InvalidResponse, replyError=error_of, notEnoughData=NOT_ENOUGH_DATA
        )
        parser = SimpleNamespace(_reader=reader)
        self.connection = SimpleNamespace(_sock=here, _parser=parser)
        self.pool: Any = Pool()
        self.exchange = Exchange(self.pool, self.connection, timeout)

    def close(self) -> None:
        self.server.close()
        self.connection._sock.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def ask(rig: Rig, commands: Commands) -> bool:
    return rig.exchange.ask(packed(commands), len(commands))


def test_replies_are_there_once_all_have_come(rig: Rig) -> None:
    """Byte by byte: until then there are none."""
    assert ask(rig, TWO)
    assert rig.server.recv(1000) == b"*2\r\n$4\r\nPTTL\r\n$3\r\nkey\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
    replies = b":1500\r\n$5\r\nvalue\r\n"
    for byte in replies[:-1]:
        rig.server.send(bytes([byte]))
        assert rig.exchange.receive() is None
    rig.server.send(replies[-1:])

    assert rig.exchange.receive() == [1500, b"value"]
    assert rig.exchange.received == len(replies)
    rig.exchange.end()
    assert rig.pool.fates == ["back"]


def test_nothing_there_is_nothing_lost(rig: Rig) -> None:
    """A loop may tell of a socket for nothing."""
    ask(rig, TWO)

    assert rig.exchange.receive() is None


def test_it_is_asked_again_and_again(rig: Rig) -> None:
    """Each question has its own replies."""
    for number in range(3):
        assert ask(rig, [(b"GET", b"key")])
        rig.server.send(b"+%d\r\n" % number)
        assert rig.exchange.receive() == [b"%d" % number]


def test_an_error_reply_stands_in_its_place(rig: Rig) -> None:
    """The connection is as good as ever."""
    ask(rig, TWO)
    rig.server.send(b":1\r\n-WRONGTYPE it is a list\r\n")

    replies = rig.exchange.receive()
    assert replies is not None
    assert replies[0] == 1
    assert isinstance(replies[1], Refused)
    assert replies[1].is_wrong_type
    rig.exchange.end()
    assert rig.pool.fates == ["back"]


def test_no_connection_to_a_replica_is_kept(rig: Rig) -> None:
    """The others may lead to it, too."""
    ask(rig, [(b"GET", b"key")])
    rig.server.send(b"-READONLY You can't write against a read only replica.\r\n")
    rig.exchange.receive()
    rig.exchange.end()

    assert rig.pool.fates == ["gone", "drained"]


@pytest.mark.parametrize(
    "sent", [b"+one\r\n+two\r\n+three\r\n", b"+one\r\n+two\r\n+thr", b"nonsense\r\n", b""], ids=repr
)
def test_what_was_not_asked_for_ends_it(rig: Rig, sent: bytes) -> None:
    """More replies than questions, what is no reply, the end: nobody gets somebody else's reply."""
    ask(rig, TWO)
    rig.server.send(sent)
    if not sent:
        rig.server.shutdown(socket.SHUT_WR)

    with pytest.raises(CacheUnavailable):
        rig.exchange.receive()


def test_a_closed_connection_is_seen_when_it_is_asked(rig: Rig) -> None:
    """Nothing was sent, so that another connection can be asked."""
    rig.server.close()

    assert not ask(rig, TWO)


def test_what_does_not_go_at_once_is_not_waited_for(rig: Rig) -> None:
    """A full buffer; what is too much for any is not even asked."""
    assert not fits(packed([(b"GET", b"k" * 40_000)]))
    few = [(b"GET", b"k" * 30_000)]
    assert any(not ask(rig, few) for _ in range(1000))


def test_time_is_counted_from_the_last_bytes_but_not_for_ever() -> None:
    """A reply that trickles in is given up like one that does not come."""
    rig = Rig(timeout=0.05)
    try:
        ask(rig, [(b"GET", b"key")])
        assert 0 < rig.exchange.left <= 0.05
        rig.server.send(b"$100000000\r\n")
        looks = 0
        while rig.exchange.left > 0:
            rig.server.send(b"x")
            assert rig.exchange.receive() is None
            looks += 1
        assert looks > 1
        assert isinstance(rig.exchange.late(), CacheUnavailable)
    finally:
        rig.close()


@pytest.mark.parametrize(("speed", "is_awaited"), [(1.2e6, True), (0.1e6, False)], ids=["fast", "slow"])
def test_a_large_reply_has_the_time_that_its_size_asks_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, speed: float, is_awaited: bool
) -> None:
    """As in blocking code: beyond the patience for any reply, but not below a speed."""
    now, piece = [0.0], b"x" * 50_000
    monkeypatch.setattr(exchange, "time", SimpleNamespace(monotonic=lambda: now[0]))
    rig.exchange.timeout = 1.0
    ask(rig, [(b"GET", b"key")])
    rig.server.send(b"$100000000\r\n")
    while rig.exchange.left > 0 and now[0] < 3 * exchange.PATIENCE:
        now[0] += len(piece) / speed
        rig.server.send(piece)
        assert rig.exchange.receive() is None

    assert (rig.exchange.left > 0) is is_awaited


def test_only_a_plain_socket_will_do(rig: Rig) -> None:
    """What comes over TLS is no reply yet."""
    assert suits(rig.connection)
    assert not suits(SimpleNamespace(_sock=object()))
