"""What the examples of the documentation are given."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from mysql_redis_cache import MRCClient
from tests.support.urls import mysql_arguments, with_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.private_servers import PrivateMySQL, PrivateRedis

TABLES = [
    "CREATE TABLE users (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL, store_id INT)",
    "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, user_id INT, state VARCHAR(10), total DEC(9,2))",
    "INSERT INTO users VALUES (123, 'Ada', 6), (124, 'Bob', 6), (125, 'Cy', 7)",
    "INSERT INTO orders VALUES (7, 123, 'new', 9.90), (8, 123, 'paid', 20.00), (9, 124, 'new', 5.00)",
]


@pytest.fixture
def schema_url(mysql_server_url: str) -> Iterator[str]:
    """A schema for one page, with the tables ``users`` and ``orders``."""
    schema = f"mrc_docs_{uuid.uuid4().hex[:12]}"
    server = pymysql.connect(**mysql_arguments(mysql_server_url), autocommit=True)
    with closing(server), server.cursor() as cursor:
        for statement in [f"CREATE DATABASE {schema} CHARACTER SET utf8mb4", f"USE {schema}", *TABLES]:
            cursor.execute(statement)
        yield with_database(mysql_server_url, schema)
        cursor.execute(f"DROP DATABASE {schema}")


@pytest.fixture
def given(
    schema_url: str,
    redis_url: str,
    private_redis: Callable[..., PrivateRedis],
    private_mysql: Callable[..., PrivateMySQL],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, Any]]:
    """The names that every page starts with."""
    monkeypatch.setenv("MYSQL_URL", schema_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    own = {"private_redis": private_redis, "private_mysql": private_mysql}
    servers = {"mysql_config": schema_url, "redis_config": redis_url, **own}
    with MRCClient(schema_url, redis_url) as client:
        yield servers | {"client": client}
