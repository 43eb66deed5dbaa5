"""The proxy of the outage tests must itself do what it says."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def echo_port() -> Iterator[int]:
    """Port of a server that sends back what it gets, for several connections at once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def proxy(echo_port: int) -> Iterator[Proxy]:
    with Proxy(echo_port) as started:
        yield started


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        yield connection


def ask(client: socket.socket, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    return receive(client, len(data))


def receive(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (data := client.recv(size - len(got))):
        got += data
    return got


def test_passes_everything_on(client: socket.socket) -> None:
    """Without settings nothing is lost or changed, even when the data is large."""
    data = bytes(range(256)) * 4000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert data == receive(client, len(data))
    sender.join()


def test_counts_round_trips_and_bytes(proxy: Proxy, client: socket.socket) -> None:
    """Each question after an answer is one round trip."""
    for _ in range(3):
        ask(client)
    assert (3, 15, 15, 1) == (
        proxy.round_trips,
        proxy.bytes_seen("requests"),
        proxy.bytes_seen("replies"),
        proxy.connections,
    )


def test_delays_each_way(proxy: Proxy, client: socket.socket) -> None:
    """A delay adds once per way."""
    proxy.delay(0.05)
    begun = time.monotonic()
    ask(client)
    assert time.monotonic() - begun >= 0.1


def test_pause_holds_and_resume_lets_go(proxy: Proxy, client: socket.socket) -> None:
    """While paused a connection is open and silent; then nothing is lost."""
    proxy.pause()
    client.sendall(b"hello")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(5)
    proxy.resume()
    assert b"hello" == receive(client, 5)


def test_pause_of_replies_lets_the_request_arrive(proxy: Proxy, client: socket.socket) -> None:
    """A lost reply: the server has done its work, and the client does not hear of it."""
    proxy.pause("replies")
    client.sendall(b"hello")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert 5 == proxy.bytes_seen("replies")


def test_cut_resets_open_connections_only(proxy: Proxy, client: socket.socket) -> None:
    """A cut connection is reset; the next one works."""
    ask(client)
    proxy.cut()
    with pytest.raises(ConnectionError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as another:
        assert b"hello" == ask(another)


def test_cut_while_paused_sends_nothing(proxy: Proxy, client: socket.socket) -> None:
    """What a pause holds back is lost by a cut."""
    ask(client)
    proxy.pause("replies")
    client.sendall(b"hello")
    proxy.cut()
    with pytest.raises(ConnectionError):
        client.recv(1)


def test_cut_after_breaks_inside_a_reply(proxy: Proxy, client: socket.socket) -> None:
    """Exactly so many bytes arrive, over several chunks, then the connection breaks; only once."""
    proxy.cut_after(8)
    assert b"hello" == ask(client)
    client.sendall(b"world")
    assert b"wor" == receive(client, 3)
    with pytest.raises(ConnectionError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as another:
        assert b"hello, world" == ask(another, b"hello, world")


def test_drip(proxy: Proxy, client: socket.socket) -> None:
    """A dripped reply arrives in small pieces, whole."""
    proxy.drip(1, 0.02)
    begun = time.monotonic()
    assert b"hello" == ask(client)
    assert time.monotonic() - begun >= 0.08


def test_corrupt(proxy: Proxy, client: socket.socket) -> None:
    """A reply is changed on its way until told otherwise."""
    proxy.corrupt(bytes.upper)
    assert b"HELLO" == ask(client)
    proxy.corrupt(None)
    assert b"hello" == ask(client)


def test_stop_refuses_and_start_brings_the_port_back(proxy: Proxy, client: socket.socket) -> None:
    """A stopped proxy refuses like a server that is down, and comes back where it was."""
    ask(client)
    port = proxy.port
    proxy.stop()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    proxy.start()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as another:
        assert b"hello" == ask(another)


def test_forgets_connections_that_the_client_closed(proxy: Proxy) -> None:
    """No link is left behind by clients that come and go."""
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
            ask(connection)
    give_up = time.monotonic() + 5
    while proxy.open_connections and time.monotonic() < give_up:
        time.sleep(0.01)
    assert 0 == proxy.open_connections


def test_url_keeps_account_and_path() -> None:
    """Only the address in the URL changes."""
    with Proxy("redis://user:secret@127.0.0.1:6379/3?x=1") as proxy:
        assert f"redis://user:secret@127.0.0.1:{proxy.port}/3?x=1" == proxy.url
