"""Throwaway MariaDB/MySQL and Redis/Valkey servers on free loopback ports, for tests, demo and benchmarks.

Each server has a temporary folder of its own, is stopped by its pid, and ends when whoever started it
dies, however that happens. Servers found on the machine are used; where there are none but there is
Docker, those of ``compose.yaml``. Only the standard library is needed, so any environment will do.

::

    with PrivateMySQL() as mysql, PrivateRedis(["--maxmemory", "10mb"]) as redis:
        print(mysql.url, redis.url)
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tools.programs import find_mysql, find_program, find_redis, is_mariadb
from tools.runners import NativeProcess
from tools.server import START_SECONDS, PrivateServer, ServerError, free_port

if TYPE_CHECKING:
    import socket

__all__ = ["LOGGING", "PrivateMySQL", "PrivateRedis", "PrivateServer", "ServerError", "free_port"]

FAST = (
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=128M",
    "--performance-schema=OFF",
    "--loose-mysqlx=OFF",
)

LOGGING = (
    *("--server-id=1", "--log-bin=bin", "--binlog-format=ROW", "--binlog-row-metadata=FULL"),
    *("--loose-gtid-mode=ON", "--loose-enforce-gtid-consistency=ON"),  # MySQL's; MariaDB always has GTIDs
)
"""Options of a MySQL that keeps a binary log to follow."""


class PrivateRedis(PrivateServer):
    """A throwaway Redis or Valkey without persistence."""

    service = "redis"
    container_port = 6379

    @property
    def url(self) -> str:
        """Its URL, ``redis://127.0.0.1:PORT/0``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def find(self) -> str | None:
        """The Redis or Valkey program."""
        return find_redis()

    def arguments(self) -> list[str]:
        """Loopback only, no persistence."""
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [*place, "--save", "", "--appendonly", "no"]

    def container_arguments(self) -> list[str]:
        """No persistence."""
        return ["redis-server", "--save", "", "--appendonly", "no"]

    def answers(self, connection: socket.socket) -> bool:
        """Whether PING gets PONG, or the error of a server that wants a password."""
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-DENIED"))


class PrivateMySQL(PrivateServer):
    """A throwaway MariaDB or MySQL."""

    service = "mysql"
    container_port = 3306

    @property
    def url(self) -> str:
        """Its URL: an account with every right, no schema; ``mysql://mrc:mrc@127.0.0.1:PORT/``."""
        account = "root:mrc" if self.program is None else "mrc:mrc"
        return f"mysql://{account}@127.0.0.1:{self.port}/"

    def find(self) -> str | None:
        """The MariaDB or MySQL program."""
        return find_mysql()

    def prepare(self) -> None:
        """Make the system tables, and the file that makes the account at every start."""
        (self.folder / "init.sql").write_text(
            "CREATE USER IF NOT EXISTS 'mrc'@'%' IDENTIFIED BY 'mrc';\n"
            "GRANT ALL ON *.* TO 'mrc'@'%' WITH GRANT OPTION;\n"
        )
        data = self.folder / "data"
        if data.exists():
            return
        installer, *fixed = self._installer()
        arguments = [*fixed, f"--datadir={data}", *_as_root()]
        process = NativeProcess(installer)
        try:
            process.start(arguments, self.port, self.log)
            status = process.wait(START_SECONDS)
        finally:
            process.end(signal.SIGKILL)
        if status:
            shutil.rmtree(data, ignore_errors=True)
            raise ServerError(f"{installer} failed:\n{self.log_tail()}\n{_apparmor_hint()}".rstrip())

    def _installer(self) -> list[str]:
        program = self.program or ""
        if not is_mariadb(program):
            return [program, "--no-defaults", "--initialize-insecure"]
        installer = find_program("mariadb-install-db", "mysql_install_db")
        if installer is None:
            raise ServerError(
                f"{program} is here but not mariadb-install-db; install all of MariaDB's server"
            )
        return [installer, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]

    def arguments(self) -> list[str]:
        """Loopback only, as fast as a server can be whose data nobody keeps."""
        return [
            "--no-defaults",  # must come first
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            f"--secure-file-priv={self.folder}",
            f"--socket={self.folder / 'sock'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            *FAST,
            *_as_root(),
        ]

    def container_arguments(self) -> list[str]:
        """The same speed in a container."""
        return ["mysqld", *FAST]

    def answers(self, connection: socket.socket) -> bool:
        """Whether it greets: the first packet names protocol 10 behind the four bytes of header."""
        return connection.recv(64)[4:5] == b"\x0a"


def _as_root() -> list[str]:
    # Both servers refuse to run as root unless told so in words.
    return ["--user=root"] if os.geteuid() == 0 else []


def _apparmor_hint() -> str:
    if not Path("/etc/apparmor.d/usr.sbin.mysqld").exists():
        return ""
    return (
        "AppArmor may keep mysqld out of the temporary folder: run `sudo aa-complain /usr/sbin/mysqld`, "
        "or set MRC_TEST_MYSQL_URL to a server of your own"
    )
