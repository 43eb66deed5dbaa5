"""Tables for applications, and applications as processes that are asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import MRCClient
from tests.support.processes import ROOT, ServingProcess, eventually
from tests.support.schemas import fresh_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymysql.connections import Connection

NO_TABLES = "DROP TABLE IF EXISTS orders, users"
TABLES = f"""
{NO_TABLES};
CREATE TABLE users (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL, store_id INT NOT NULL);
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, user_id INT NOT NULL, total DECIMAL(9, 2) NOT NULL);
INSERT INTO users VALUES (1, 'Ada', 6), (2, 'Bob', 6)
"""
USER = "SELECT name FROM users WHERE id = ?"


@pytest.fixture(scope="session")
def mysql_url(mysql_server_url: str) -> Iterator[str]:
    """A schema beside that of the other tests: theirs has tables of the same names."""
    with fresh_schema(mysql_server_url, "mrc_contrib") as url:
        yield url


@pytest.fixture
def tables(mysql_admin: Connection) -> Iterator[None]:
    """The tables ``users``, with Ada and Bob, and ``orders``."""
    with mysql_admin.cursor() as cursor:
        for statement in TABLES.split(";"):
            cursor.execute(statement)
        yield
        cursor.execute(NO_TABLES)


@pytest.fixture
def client(mysql_url: str, redis_url: str, tables: None) -> Iterator[MRCClient]:
    """A blocking client of these."""
    with MRCClient(mysql_url, f"{redis_url}?socket_timeout=10", namespace="shop") as client:
        yield client


@pytest.fixture
def name_of(client: MRCClient) -> Callable[..., str]:
    """Read a user's name through the cache."""

    def read(user: int = 1) -> str:
        return str(client.query_with_cache(USER, [user], ["UserId"])[0]["name"])

    return read


class Browser:
    """Asks an application that runs as a process."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        with suppress(ValueError):
            return answer.status, json.loads(text)
        return answer.status, text.decode()

    def get(self, path: str) -> Any:
        """Return the JSON of an answer, which must be a good one."""
        status, found = self.ask("GET", path)
        assert status == 200, found
        return found

    def is_answered(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False


@pytest.fixture
def serve(
    mysql_url: str, redis_url: str, tables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Browser]]:
    """Start an application: ``browser = serve("-m", "gunicorn", …)``; ``PORT`` becomes a free port.

    Those that listen to none say so by ``listens=False``.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MYSQL_URL", mysql_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    running: list[ServingProcess] = []

    def start(*arguments: str, listens: bool = True) -> Browser:
        process = ServingProcess(tmp_path, arguments).__enter__()
        running.append(process)
        browser = Browser(process.port)
        if listens:
            eventually(browser.is_answered, f"an answer; the log: {process.log.read_text()[-3000:]}")
        return browser

    yield start
    for process in running:
        process.__exit__()
        assert "Traceback" not in process.log.read_text()


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python in the environment as it is, to its end."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
