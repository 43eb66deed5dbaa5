"""Beside Django, which imports PyMySQL a second time under the name of the driver it stands in for."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import pymysql

pymysql.install_as_MySQLdb()
import MySQLdb.err  # as Django does; now pymysql.err is this module, whose errors nobody raises

assert not issubclass(pymysql.ProgrammingError, pymysql.err.ProgrammingError)
from mysql_redis_cache import DatabaseUnavailable, MRCClient

with MRCClient(sys.argv[1]) as client:
    try:
        client.query("SELECT * FROM no_such_table")
    except pymysql.ProgrammingError as error:
        assert error.args[0] == 1146
    assert client.get_mysql_pool().in_use == 0
with MRCClient("mysql://nobody@127.0.0.1:1/none?connect_timeout=1") as client:
    try:
        client.query("SELECT 1")
    except DatabaseUnavailable:
        print("fine")
"""


def test_errors_are_recognised_where_the_driver_stands_in_for_mysqlclient(mysql_url: str) -> None:
    """The driver's errors are told apart by the classes it raises, whatever ``pymysql.err`` is by then."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mysql_url], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr
