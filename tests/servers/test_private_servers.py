"""The throwaway servers of tests, demo and benchmarks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest
import redis

from tests.support.urls import mysql_arguments
from tools.private_servers import PrivateRedis, ServerError, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymysql.connections import Connection

    from tools.private_servers import PrivateMySQL


def test_mysql_fixture_is_a_schema_of_our_own(mysql_admin: Connection) -> None:
    """Tests get an empty schema, in which they may do everything."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("SELECT DATABASE()")
        (schema,) = cursor.fetchone()
    assert schema.startswith("mrc_test_")


@pytest.mark.parametrize("turn", [1, 2])
def test_redis_fixture_starts_empty(redis_client: redis.Redis, turn: int) -> None:
    """What one test leaves behind, the next does not see."""
    assert 0 == redis_client.dbsize()
    redis_client.set("left behind", turn)


def test_redis_outages(private_redis: Callable[..., PrivateRedis]) -> None:
    """A private server is killed, started, frozen and released, always at one address."""
    server = private_redis("--maxmemory", "10mb")
    client = redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None)
    with closing(client):
        assert "10485760" == client.config_get("maxmemory")["maxmemory"]
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()
        server.suspend()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()


def test_mysql_keeps_its_data_over_a_restart(private_mysql: Callable[..., PrivateMySQL]) -> None:
    """Stop and start keep port, account and data."""
    server = private_mysql()
    with closing(pymysql.connect(**mysql_arguments(server.url))) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kept")
    server.restart()
    with closing(pymysql.connect(**mysql_arguments(server.url), database="kept")) as connection:
        connection.ping(reconnect=False)


def test_start_reports_why_a_server_did_not_start() -> None:
    """The error carries the server's own words."""
    with pytest.raises(ServerError, match="no-such-option"), PrivateRedis(["--no-such-option", "1"]):
        pass


def test_servers_die_with_the_one_who_started_them(tmp_path: Path) -> None:
    """Even after SIGKILL no server and no folder is left."""
    script = (
        "import os, sys, time\n"
        "from tools.private_servers import PrivateRedis\n"
        "server = PrivateRedis().start()\n"
        "print(server.pid, server.folder, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root
    ) as starter:
        assert starter.stdout is not None
        pid, folder = starter.stdout.readline().split()
        starter.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 20
    while Path(folder).exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not Path(folder).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_free_port_is_free() -> None:
    """A server can have it."""
    with PrivateRedis(port=free_port()) as server:
        assert server.is_running
