"""A schema of one's own on a server that others use too."""

from __future__ import annotations

import uuid
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pymysql

from tests.support.urls import mysql_arguments, with_database

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fresh_schema"]


@contextmanager
def fresh_schema(server_url: str, prefix: str = "mrc_test") -> Iterator[str]:
    """Give the URL of a fresh schema, dropped at the end."""
    schema = f"{prefix}_{uuid.uuid4().hex[:12]}"
    _run(server_url, f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
    yield with_database(server_url, schema)
    _run(server_url, f"DROP DATABASE IF EXISTS {schema}")


def _run(url: str, statement: str) -> None:
    with closing(pymysql.connect(**mysql_arguments(url))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
