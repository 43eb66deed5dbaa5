"""A TCP proxy on loopback that misbehaves on request: for tests of slow, cut and silent connections."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Direction", "Proxy"]

Direction = Literal["requests", "replies"]
BOTH: tuple[Direction, Direction] = ("requests", "replies")
CHUNK = 65536
JOIN_SECONDS = 10.0
POLL_SECONDS = 0.1


@dataclass
class _Way:
    """How bytes travel one way, for all connections; read by the pumps at each chunk."""

    open: threading.Event = field(default_factory=threading.Event)
    delay: float = 0.0
    drip: tuple[int, float] | None = None
    bytes_left: int | None = None
    change: Callable[[bytes], bytes] | None = None
    bytes_seen: int = 0


class Proxy:
    """Forwards connections to one server; use it as a context manager.

    ::

        with Proxy(redis_url) as proxy:
            client = redis.Redis.from_url(proxy.url)
            proxy.pause()                    # accepted, then silence
            proxy.resume()
            proxy.cut_after(10)              # the connection breaks inside the next reply

    Settings count for open connections as well as later ones, until changed. Each chunk that arrives
    is handled alone, so a delay adds once per way and round trip.

    Args:
        target: URL of the server behind it (any scheme, with a port) or its loopback port.
        delay: seconds to hold every chunk, each way.
    """

    def __init__(self, target: str | int, *, delay: float = 0.0) -> None:
        self.lead_to(target)
        self._ways: dict[Direction, _Way] = {way: _Way() for way in BOTH}
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._round_trips = 0
        self.connections = 0  # accepted since the start
        self.port = 0
        self.resume()
        self.delay(delay)

    def __enter__(self) -> Self:
        """Start forwarding."""
        return self.start()

    def __exit__(self, *exc: object) -> None:
        """Cut everything and stop."""
        self.stop()

    @property
    def url(self) -> str:
        """The target's URL with the proxy's address in it."""
        parts = urlsplit(self._url)
        account = parts.netloc.rpartition("@")[0]
        netloc = f"{account}@127.0.0.1:{self.port}" if account else f"127.0.0.1:{self.port}"
        return urlunsplit(parts._replace(netloc=netloc))

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._links)

    @property
    def round_trips(self) -> int:
        """How often a client began to speak since it last got an answer, over all connections.

        A pipeline counts once. Take the difference around the calls to be measured.
        """
        with self._lock:
            return self._round_trips

    def bytes_seen(self, way: Direction) -> int:
        """How many bytes arrived at the proxy that way."""
        return self._ways[way].bytes_seen

    # Life

    def start(self) -> Self:
        """Listen, on the same port as before if it was stopped."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._acceptor = threading.Thread(
            target=self._accept, args=(listener,), name="proxy-accept", daemon=True
        )
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Refuse new connections and cut the open ones; :meth:`start` brings the same port back."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept() on Linux
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()  # and elsewhere
            listener.close()
        if self._acceptor is not None:
            self._acceptor.join(JOIN_SECONDS)
        self.cut()

    # Trouble

    def lead_to(self, target: str | int) -> None:
        """Connect new connections to another server; open ones stay where they are."""
        self._url = target if isinstance(target, str) else f"tcp://127.0.0.1:{target}"
        parts = urlsplit(self._url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"target {target!r} needs a host and a port")
        self._target = (parts.hostname, parts.port)

    def delay(self, seconds: float, way: Direction | None = None) -> None:
        """Hold every chunk for *seconds*, one way or (by default) each way; 0 ends it."""
        for each in self._chosen(way):
            each.delay = seconds

    def pause(self, way: Direction | None = None) -> None:
        """Freeze: connections are accepted and stay open, nothing passes until :meth:`resume`."""
        for each in self._chosen(way):
            each.open.clear()

    def resume(self, way: Direction | None = None) -> None:
        """Let everything pass that waited."""
        for each in self._chosen(way):
            each.open.set()

    def drip(self, size: int, seconds: float, way: Direction = "replies") -> None:
        """Pass only *size* bytes at a time, *seconds* apart; size 0 ends it."""
        self._ways[way].drip = (size, seconds) if size else None

    def corrupt(self, change: Callable[[bytes], bytes] | None, way: Direction = "replies") -> None:
        """Pass every chunk through *change*; None ends it."""
        self._ways[way].change = change

    def cut_after(self, size: int, way: Direction = "replies") -> None:
        """Cut the connection that carries the next *size* bytes that way, right behind them; once."""
        self._ways[way].bytes_left = size

    def cut(self) -> None:
        """Break every open connection with a reset; new ones are accepted."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()
        for link in links:
            link.join()

    # The machinery

    def _chosen(self, way: Direction | None) -> list[_Way]:
        return [self._ways[each] for each in BOTH if way in (None, each)]

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            if self._listener is not listener:
                client.close()
                return
            self._link(client)

    def _link(self, client: socket.socket) -> None:
        self.connections += 1
        try:
            server = socket.create_connection(self._target, timeout=JOIN_SECONDS)
        except OSError:
            client.close()
            return
        link = _Link(self, client, server)
        with self._lock:
            self._links.add(link)
        link.start()

    def _spoke(self, link: _Link, way: Direction) -> None:
        with self._lock:
            if way == "requests" and link.last_to_speak != "requests":
                self._round_trips += 1
            link.last_to_speak = way

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """One connection through the proxy: two sockets, a pump thread each way."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.last_to_speak: Direction = "replies"
        self._proxy = proxy
        self._sockets = (client, server)
        self._ended = threading.Event()
        for each in self._sockets:
            each.settimeout(POLL_SECONDS)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pumps = [
            threading.Thread(
                target=self._pump, args=(client, server, "requests"), name="proxy-requests", daemon=True
            ),
            threading.Thread(
                target=self._pump, args=(server, client, "replies"), name="proxy-replies", daemon=True
            ),
        ]

    def start(self) -> None:
        for pump in self._pumps:
            pump.start()

    def cut(self) -> None:
        """Reset both ends: linger 0 makes close() send RST in place of FIN."""
        self._ended.set()
        for each in self._sockets:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD)  # wakes a pump that reads, and sends nothing
        self._close()

    def join(self) -> None:
        for pump in self._pumps:
            pump.join(JOIN_SECONDS)

    def _close(self) -> None:
        self._ended.set()
        for each in self._sockets:
            each.close()
        self._proxy._forget(self)

    def _pump(self, source: socket.socket, sink: socket.socket, name: Direction) -> None:
        way = self._proxy._ways[name]
        try:
            while data := self._receive(source):
                way.bytes_seen += len(data)
                self._proxy._spoke(self, name)
                if not self._pass(data, sink, way):
                    self.cut()
                    return
            self._wait_for_leave(way)
            if not self._ended.is_set():
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()
            return
        if name == "replies":  # the server has closed; a client half open is of no use
            self._close()

    def _receive(self, source: socket.socket) -> bytes:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                return source.recv(CHUNK)
        return b""

    def _pass(self, data: bytes, sink: socket.socket, way: _Way) -> bool:
        """Send one chunk as the settings say; False if the connection is to be cut now."""
        if way.delay:
            self._ended.wait(way.delay)
        self._wait_for_leave(way)
        if way.change is not None:
            data = way.change(data)
        limit = way.bytes_left
        if limit is None:
            self._send(data, sink, way)
            return not self._ended.is_set()
        way.bytes_left = limit - len(data) if len(data) < limit else None
        self._send(data[:limit], sink, way)
        return len(data) < limit

    def _send(self, data: bytes, sink: socket.socket, way: _Way) -> None:
        while data and not self._ended.is_set():
            size, seconds = way.drip or (len(data), 0.0)
            with suppress(TimeoutError):  # the other side does not read: look whether the link has ended
                data = data[sink.send(data[:size]) :]
            self._ended.wait(seconds)

    def _wait_for_leave(self, way: _Way) -> None:
        while not self._ended.is_set() and not way.open.wait(POLL_SECONDS):
            pass
