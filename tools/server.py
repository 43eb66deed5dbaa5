"""The life of a throwaway server, whatever it serves; the kinds are in ``private_servers.py``."""

from __future__ import annotations

import shutil
import signal
import socket
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tools.programs import has_docker
from tools.runners import Container, NativeProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.runners import Runner

__all__ = ["START_SECONDS", "PrivateServer", "ServerError", "free_port"]

START_SECONDS = 60.0
REMOVE_SECONDS = 10.0
PORT_TRIES = 3
COMPOSE_FILE = Path(__file__).resolve().parent.parent / "compose.yaml"


class ServerError(RuntimeError):
    """A private server could not be found or started; the message says what to do."""


def free_port() -> int:
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrivateServer:
    """One throwaway server; use it as a context manager, or call :meth:`start` and :meth:`close`.

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
        self._runner = self._choose_runner()
        self._fixed_port = port is not None
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"mrc-{self.service}-"))

    def __enter__(self) -> Self:
        """Start the server."""
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc: object) -> None:
        """End the server and remove its folder."""
        self.close()

    def find(self) -> str | None:
        """The server program on this machine."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make what the program needs in its folder before it starts."""

    def arguments(self) -> list[str]:
        """The program's command line arguments."""
        raise NotImplementedError

    def container_arguments(self) -> list[str]:
        """The container's command."""
        raise NotImplementedError

    def answers(self, connection: socket.socket) -> bool:
        """Whether the server behind a fresh connection is ready."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._runner.pid()

    @property
    def is_running(self) -> bool:
        """Whether the server lives (a suspended one does)."""
        return self._runner.is_running()

    @property
    def log(self) -> Path:
        """The server's output."""
        return self.folder / "log"

    def start(self) -> Self:
        """Start the server and wait until it answers, at most a minute; nothing if it runs.

        Raises:
            ServerError: with the end of the server's log.
        """
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                self._start()
                break
            except ServerError:
                # Another program may have taken the free port in between.
                if self._fixed_port or not tries_left or "in use" not in self.log_tail():
                    raise
                self.port = free_port()
        self._fixed_port = True
        return self

    def stop(self) -> None:
        """End the server in order, keeping its folder and port."""
        self._runner.end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash does, keeping its folder and port."""
        self._runner.end(signal.SIGKILL)

    def restart(self) -> Self:
        """Stop in order, then start again."""
        self.stop()
        return self.start()

    def suspend(self) -> None:
        """Freeze the server: connections stay open and nothing is answered."""
        self._runner.suspend()

    def resume(self) -> None:
        """Let a suspended server go on."""
        self._runner.resume()

    def close(self) -> None:
        """End the server at once and remove its folder; idempotent."""
        self.kill()
        self._runner.remove()
        give_up = time.monotonic() + REMOVE_SECONDS
        while (
            self.folder.exists() and time.monotonic() < give_up
        ):  # a killed child may write until it is gone
            shutil.rmtree(self.folder, ignore_errors=True)

    def _choose_runner(self) -> Runner:
        if self.program is not None:
            return NativeProcess(self.program)
        if has_docker():
            name = f"mrc-{self.service}-{uuid.uuid4().hex[:12]}"
            return Container(COMPOSE_FILE, self.service, self.container_port, name)
        raise ServerError(
            f"no {self.service} server here: neither a program on the PATH nor docker compose; "
            "run `make servers` to install one"
        )

    def _start(self) -> None:
        if self.is_running:
            return
        if self.program is None:
            arguments = self.container_arguments()
        else:
            self.prepare()
            arguments = self.arguments()
        self._runner.start([*arguments, *self.options], self.port, self.log)
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if not self.is_running:
                raise ServerError(f"the private {self.service} ended while starting:\n{self.log_tail()}")
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection,
            ):
                if self.answers(connection):
                    return
            time.sleep(0.02)
        raise ServerError(
            f"the private {self.service} did not answer within {START_SECONDS:g} s:\n{self.log_tail()}"
        )

    def log_tail(self, lines: int = 15) -> str:
        """The errors in the server's output, and its last lines."""
        with suppress(OSError):
            output = self.log.read_text(errors="replace").splitlines()
            return "\n".join([line for line in output[:-lines] if "ERROR" in line] + output[-lines:])
        return "(no log)"
