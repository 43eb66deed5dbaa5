"""Whether a follower does its work, for orchestrators to ask by HTTP."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from .endings import FAILED, give_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Address = tuple[str, int]
    Look = Callable[[], tuple[bool, dict[str, Any]]]
    Measure = Callable[[], bytes]

__all__ = ["serving"]

PATIENCE = 1.0
"""Seconds in which a request must have come; one is answered after the other."""

MOST_BYTES = 8192

METRICS, TEXT = "/metrics", "text/plain; version=0.0.4; charset=utf-8"
MISSING = b"pip install 'mysql-redis-cache[prometheus]'\n"


@contextmanager
def serving(address: Address, look: Look, measure: Measure | None = None) -> Iterator[int]:
    """Answer requests in a thread until the block ends; yield the port.

    Ends the command if nobody can listen there.

    Args:
        address: host and port to listen on; port 0 is any that is free.
        look: tells whether all is well, for status 200 or 503, and what JSON to answer with.
        measure: returns what to answer with under ``/metrics``, as Prometheus reads it; without it there is
            no such path.
    """
    with _listening(address, look, measure) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="mrc-health", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _listening(address: Address, look: Look, measure: Measure | None) -> _Server:
    try:
        return _Server(address, look, measure)
    except OSError as error:
        give_up(f"--health cannot listen on {address[0]}:{address[1]}: {error.strerror or error}", FAILED)


class _Server(HTTPServer):
    def __init__(self, address: Address, look: Look, measure: Measure | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, partial(_Answer, look, measure))

    def server_bind(self) -> None:
        """Bind, and do not look up what this machine is called, which may take long."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of who asks and goes away, or does not ask in time."""


class _Answer(BaseHTTPRequestHandler):
    server_version, sys_version = "mrc", ""

    def __init__(self, look: Look, measure: Measure | None, *arguments: Any) -> None:
        self._look, self._measure = look, measure
        super().__init__(*arguments)

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BytesIO(_head_of_request(self.connection))

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != METRICS:
            is_well, about = self._look()
            self._answer(200 if is_well else 503, "application/json", json.dumps(about).encode() + b"\n")
        elif self._measure is None:
            self._answer(404, TEXT, MISSING)
        else:
            self._answer(200, TEXT, self._measure())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - by the method's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
        """Say nothing of requests."""


def _head_of_request(connection: socket.socket) -> bytes:
    until, head = time.monotonic() + PATIENCE, b""
    while b"\r\n\r\n" not in head and len(head) < MOST_BYTES:
        connection.settimeout(max(0.001, until - time.monotonic()))
        piece = connection.recv(MOST_BYTES)
        if not piece:
            break
        head += piece
    return head
