"""A MySQL server that tests kill, freeze and fill: what is in it, and how to look at it from outside."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql

from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from tools.private_servers import PrivateMySQL

__all__ = ["administrator", "furnish", "statements"]


def furnish(server: PrivateMySQL, name: str) -> None:
    """Make the schema ``torment`` and the account ``app``, which may not write when nobody may."""
    with closing(pymysql.connect(**mysql_arguments(server.url), autocommit=True)) as connection:
        statements(
            connection,
            "CREATE DATABASE torment",
            "CREATE TABLE torment.users (id INT PRIMARY KEY, name VARCHAR(20))",
            "INSERT INTO torment.users VALUES (1, 'ann'), (2, 'bob')",
            "CREATE TABLE torment.writes (id INT PRIMARY KEY AUTO_INCREMENT)",
            f"CREATE TABLE torment.server AS SELECT '{name}' AS name",
            "CREATE USER app IDENTIFIED BY 'app'",
            "GRANT SELECT, INSERT ON torment.* TO app",
        )


def administrator(server: PrivateMySQL) -> Connection:
    """A connection to its schema behind the library's back, in autocommit."""
    return pymysql.connect(**mysql_arguments(server.url + "torment"), autocommit=True)


def statements(connection: Connection, *texts: str) -> Any:
    """Run statements; return the rows of the last."""
    with connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)
        return cursor.fetchall()
