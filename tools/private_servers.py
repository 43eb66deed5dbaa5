"""Throwaway MariaDB/MySQL and Redis/Valkey servers on free loopback ports, for tests, demo and benchmarks.

Each server has a temporary folder of its own, is stopped by its pid, and is ended by a small guard
process when whoever started it dies, however that happens. Servers found on the machine are used;
where there are none but there is Docker, those of ``compose.yaml``. Only the standard library is
needed here, so that the benchmarks and the bootstrap can use it from any environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "PrivateMySQL",
    "PrivateRedis",
    "PrivateServer",
    "ServerError",
    "describe_mysql",
    "describe_redis",
    "find_mysql",
    "find_program",
    "find_redis",
    "free_port",
    "has_docker",
    "is_mariadb",
]

START_SECONDS = 60.0
STOP_SECONDS = 20.0
PORT_TRIES = 3
ROOT = Path(__file__).resolve().parent.parent

# Folders that hold servers but are often missing from an ordinary user's PATH.
_MORE_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/libexec",
    "/usr/local/mysql/bin",
    *(
        f"{brew}/{part}"
        for brew in ("/opt/homebrew", "/usr/local")
        for part in ("bin", "opt/mariadb/bin", "opt/mysql/bin", "opt/redis/bin", "opt/valkey/bin")
    ),
)

# Reads its standard input, whose other end only the starter holds: a line means "stopped in order",
# the end of the file means that the starter is gone and the server ($1) and its folder ($2) must go too.
_GUARD = """
read -r line && exit 0
kill -CONT "$1"; kill -TERM "$1"
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" || break; sleep 0.3; done
kill -KILL "$1"; rm -rf -- "$2"
"""
_DOCKER_GUARD = 'read -r line && exit 0; docker rm -f "$1"; rm -rf -- "$2"'


class ServerError(RuntimeError):
    """A private server could not be found, started or stopped; the message says what to do."""


def free_port() -> int:
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(*names: str) -> str | None:
    """The path of the first of *names* that is installed, on the PATH or where servers usually lie."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_FOLDERS])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def find_mysql() -> str | None:
    """The MariaDB or MySQL server program, or None."""
    return find_program("mariadbd", "mysqld")


def find_redis() -> str | None:
    """The Redis or Valkey server program, or None."""
    return find_program("redis-server", "valkey-server")


def is_mariadb(program: str) -> bool:
    """Whether a server program is MariaDB's (Debian links ``mysqld`` to it) and not MySQL's."""
    return "MariaDB" in program_version(program)


def program_version(program: str) -> str:
    """What a program says of its version, on one line."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    return " ".join(done.stdout.split())


def describe_mysql() -> str:
    """Which MariaDB or MySQL a private server would be."""
    return _describe(find_mysql(), "MySQL")


def describe_redis() -> str:
    """Which Redis or Valkey a private server would be."""
    return _describe(find_redis(), "Redis")


def _describe(program: str | None, name: str) -> str:
    if program is not None:
        return program_version(program)
    return f"{name} of compose.yaml" if has_docker() else "none here; `make servers` installs one"


def has_docker() -> bool:
    """Whether ``docker compose`` is there and its engine answers."""
    if shutil.which("docker") is None:
        return False
    with suppress(subprocess.TimeoutExpired):
        asked = [["docker", "compose", "version"], ["docker", "info"]]
        return all(
            subprocess.run(ask, capture_output=True, timeout=20, check=False).returncode == 0 for ask in asked
        )
    return False


class PrivateServer:
    """One throwaway server; use it as a context manager, or call :meth:`close` at the end.

    :meth:`stop`, :meth:`kill`, :meth:`suspend` and :meth:`resume` do to it what outages do; after
    :meth:`stop` or :meth:`kill`, :meth:`start` brings it back on the same port with the same folder.

    Args:
        options: more command line arguments for the server; they win over those given here.
        port: the loopback port; a free one if not given.
    """

    service: str  # its name in compose.yaml
    container_port: int

    def __init__(self, options: Sequence[str] = (), port: int | None = None) -> None:
        self.options = list(options)
        self.program = self.find()
        self._container = "" if self.program else self._container_name()
        self._fixed_port = port is not None
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"mrc-{self.service}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """End the server and remove its folder."""
        self.close()

    # What each kind of server knows of itself

    def find(self) -> str | None:
        """The server program on this machine."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the server needs in its folder before its first start."""

    def arguments(self) -> list[str]:
        """The command line arguments, without the program."""
        raise NotImplementedError

    def answers(self, connection: socket.socket) -> bool:
        """Whether the server behind a fresh connection is ready."""
        raise NotImplementedError

    # Life

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerError(f"the private {self.service} is not running; call start()")
        return self._process.pid

    @property
    def log(self) -> Path:
        """The server's output."""
        return self.folder / "log"

    def start(self) -> Self:
        """Start the server and wait until it answers (at most a minute)."""
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                return self._start()
            except ServerError:
                # Another program may have taken the free port in between.
                if self._fixed_port or not tries_left or "in use" not in self._log_tail():
                    raise
                self.port = free_port()
        raise AssertionError

    def stop(self) -> None:
        """End the server in order, keeping its folder and port."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash does, keeping its folder and port."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Freeze the server: connections stay open and nothing is answered."""
        if self._container:
            _docker("pause", self._container)
            return
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # returns when it has really stopped

    def resume(self) -> None:
        """Let a suspended server go on."""
        if self._container:
            _docker("unpause", self._container)
            return
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> Self:
        """Stop in order, then start again."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """End the server at once and remove its folder; idempotent."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Whether the server process lives (a suspended one does)."""
        return self._process is not None and self._process.poll() is None

    def _start(self) -> Self:
        if self.is_running:
            return self
        if not self._container:
            self.prepare()
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the starter, which then stops the server in order.
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._guard = self._start_guard()
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def _command(self) -> list[str]:
        if self.program is not None:
            return [self.program, *self.arguments(), *self.options]
        publish = f"127.0.0.1:{self.port}:{self.container_port}"
        compose = ["docker", "compose", "--file", str(ROOT / "compose.yaml"), "run", "--rm", "--no-deps"]
        return [
            *compose,
            "--name",
            self._container,
            "--publish",
            publish,
            self.service,
            *self.arguments(),
            *self.options,
        ]

    def _container_name(self) -> str:
        if not has_docker():
            raise ServerError(
                f"no {self.service} server here: neither a program on the PATH nor docker compose; "
                "`make servers` installs one, or MRC_MYSQL_URL / MRC_REDIS_URL name servers of your own"
            )
        return f"mrc-{self.service}-{uuid.uuid4().hex[:12]}"

    def _start_guard(self) -> subprocess.Popen[bytes]:
        script = _DOCKER_GUARD if self._container else _GUARD
        ward = self._container or str(self.pid)
        return subprocess.Popen(
            ["/bin/sh", "-c", script, "guard", ward, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if not self.is_running:
                raise ServerError(f"the private {self.service} ended while starting:\n{self._log_tail()}")
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection,
            ):
                if self.answers(connection):
                    return
            time.sleep(0.02)
        raise ServerError(
            f"the private {self.service} did not answer within {START_SECONDS:g} s:\n{self._log_tail()}"
        )

    def _end(self, number: signal.Signals) -> None:
        process, guard, self._process, self._guard = self._process, self._guard, None, None
        if process is not None:
            self._send(process, number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._send(process, signal.SIGKILL)
                process.wait(STOP_SECONDS)
        if guard is not None:
            with suppress(BrokenPipeError):
                guard.communicate(b"stopped\n", timeout=STOP_SECONDS)

    def _send(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        if self._container:
            _docker("kill", "--signal", number.name, self._container)
            return
        process.send_signal(signal.SIGCONT)  # a suspended server would never see the signal
        process.send_signal(number)

    def _log_tail(self, lines: int = 15) -> str:
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"


class PrivateRedis(PrivateServer):
    """A throwaway Redis or Valkey without persistence; ``.url`` is database 0 of it."""

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
        if self._container:
            return ["redis-server", "--save", "", "--appendonly", "no"]
        return [
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--appendonly",
            "no",
        ]

    def answers(self, connection: socket.socket) -> bool:
        """Whether PING gets PONG, or the error of a server that wants a password."""
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-DENIED"))


class PrivateMySQL(PrivateServer):
    """A throwaway MariaDB or MySQL; ``.url`` is the account ``mrc`` with every right, without a schema."""

    service = "mysql"
    container_port = 3306
    user = "mrc"
    password = "mrc"  # of a server on loopback that lives for one run

    @property
    def url(self) -> str:
        """Its URL, ``mysql://mrc:mrc@127.0.0.1:PORT/``."""
        return f"mysql://{self.user}:{self.password}@127.0.0.1:{self.port}/"

    @property
    def flavour(self) -> str:
        """Either ``mariadb`` or ``mysql``."""
        return "mariadb" if self.program is not None and is_mariadb(self.program) else "mysql"

    def find(self) -> str | None:
        """The MariaDB or MySQL program."""
        return find_mysql()

    def prepare(self) -> None:
        """Make the system tables, and the file that makes the account at every start."""
        account = f"'{self.user}'@'%'"
        (self.folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION;\n"
        )
        data = self.folder / "data"
        if data.exists():
            return
        with self.log.open("ab") as log:
            done = subprocess.run(
                self._install_command(data),
                stdout=log,
                stderr=log,
                timeout=START_SECONDS,
                check=False,
                cwd=self.folder,
            )
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise ServerError(
                f"making the tables of the private MySQL failed:\n{self._log_tail()}\n{_apparmor_hint()}"
            )

    def _install_command(self, data: Path) -> list[str]:
        program = self.program or ""
        if self.flavour == "mysql":
            return [program, "--no-defaults", "--initialize-insecure", f"--datadir={data}", *_as_root()]
        installer = find_program("mariadb-install-db", "mysql_install_db")
        if installer is None:
            raise ServerError(
                f"{program} is there but mariadb-install-db is not; install the whole MariaDB server package"
            )
        return [
            installer,
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_as_root(),
        ]

    def arguments(self) -> list[str]:
        """Loopback only, as fast as a server can be whose data nobody keeps."""
        if self._container:
            return []  # compose.yaml has them
        return [
            "--no-defaults",  # must come first
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            f"--socket={self.folder / 'sock'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={self.folder / 'init.sql'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--innodb-buffer-pool-size=128M",
            "--performance-schema=OFF",
            "--loose-mysqlx=OFF",
            *_as_root(),
        ]

    def answers(self, connection: socket.socket) -> bool:
        """Whether the server greets: its first packet names protocol 10 after the four bytes of header."""
        return connection.recv(64)[4:5] == b"\x0a"


def _as_root() -> list[str]:
    # Both servers refuse to run as root unless told so in words.
    return ["--user=root"] if os.geteuid() == 0 else []


def _apparmor_hint() -> str:
    if not Path("/etc/apparmor.d/usr.sbin.mysqld").exists():
        return ""
    return (
        "AppArmor may keep mysqld out of the temporary folder: run `sudo aa-complain /usr/sbin/mysqld`, "
        "or set MRC_MYSQL_URL to a server of your own"
    )


def _docker(*arguments: str, run: Callable[..., object] = subprocess.run) -> None:
    run(
        ["docker", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=STOP_SECONDS,
        check=False,
    )
