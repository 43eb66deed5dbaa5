"""The endpoint for orchestrators: two answers, whatever comes."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import click
import pytest

from mysql_redis_cache.cli.health import PATIENCE, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE: dict[str, Any] = {"leader": True, "lag": 0.0}


@pytest.fixture
def answers() -> Iterator[tuple[int, list[bool]]]:
    """A port, and whether all is well there."""
    well = [True]
    with serving(("127.0.0.1", 0), lambda: (well[0], STATE)) as port:
        yield port, well


def asked(port: int, method: str = "GET", path: str = "/healthz") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_the_status_tells_whether_all_is_well(answers: tuple[int, list[bool]]) -> None:
    """200 or 503, each with the state; without it for HEAD."""
    port, well = answers
    status, body = asked(port)
    assert (status, json.loads(body)) == (200, STATE)
    well[0] = False
    status, body = asked(port)
    assert (status, json.loads(body)) == (503, STATE)
    assert asked(port, "HEAD") == (503, b"")
    assert asked(port, "POST")[0] == 501


def test_metrics_have_a_path_of_their_own(answers: tuple[int, list[bool]]) -> None:
    """Whether all is well or not; without Prometheus' client it says what to install."""
    port, _ = answers
    assert asked(port, path="/metrics")[0] == 404
    assert b"prometheus" in asked(port, path="/metrics")[1]
    with serving(("127.0.0.1", 0), lambda: (False, STATE), lambda: b"mrc_up 1\n") as port:
        assert asked(port, path="/metrics?x") == (200, b"mrc_up 1\n")
        assert asked(port, "HEAD", "/metrics") == (200, b"")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"x" * 20_000, b"\0\r\n\r\n"])
def test_who_does_not_ask_holds_up_nobody_for_long(answers: tuple[int, list[bool]], sent: bytes) -> None:
    """A connection without a whole request has its time, and then the next has its turn."""
    port, _ = answers
    with socket.create_connection(("127.0.0.1", port), timeout=10) as idle:
        idle.sendall(sent)
        began = time.monotonic()
        assert asked(port)[0] == 200
        assert time.monotonic() - began < 4 * PATIENCE


def test_drops_of_a_request_do_not_make_its_time_longer(answers: tuple[int, list[bool]]) -> None:
    """The time counts for the whole of it."""
    port, _ = answers
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        began, is_open = time.monotonic(), True
        while is_open and time.monotonic() - began < 20 * PATIENCE:
            time.sleep(0.02)
            with suppress(OSError):
                slow.sendall(b"x")
                continue
            is_open = False
        assert time.monotonic() - began < 5 * PATIENCE


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, and the command ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(click.exceptions.Exit), serving(("127.0.0.1", port), lambda: (True, STATE)):
            pass
    assert capsys.readouterr().err == (
        f"Error: --health cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )
