"""How a private server's process is started and ended: a program of this machine, or a container.

A guard goes with each: a shell that reads a pipe whose other end only the starter holds. When the
starter dies, however that happens, the pipe ends, and the guard ends the server and removes its folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Container", "NativeProcess", "Runner"]

STOP_SECONDS = 20.0

# A line means "stopped in order"; the end of the file means that the starter is gone.
NATIVE_GUARD = """
read -r line && exit 0
kill -CONT "-$1"; kill -TERM "-$1"
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "-$1" || break; sleep 0.3; done
kill -KILL "-$1"; rm -rf -- "$2"
"""
DOCKER_GUARD = 'read -r line && exit 0; docker rm --force --volumes "$1"; rm -rf -- "$2"'


class Runner(Protocol):
    """What a private server asks of its process."""

    def start(self, arguments: Sequence[str], port: int, log: Path) -> None:
        """Start it, its output appended to *log*."""

    def is_running(self) -> bool:
        """Whether it lives (a suspended one does)."""
        ...

    def pid(self) -> int:
        """Its process id; of a container, that of the client that is attached to it."""
        ...

    def end(self, number: signal.Signals) -> None:
        """Send a signal that ends it, and wait; what does not end in time is killed."""

    def suspend(self) -> None:
        """Freeze it."""

    def resume(self) -> None:
        """Let it go on."""

    def remove(self) -> None:
        """Remove what is left of it after its end."""


class NativeProcess:
    """A server program of this machine."""

    guard_script = NATIVE_GUARD

    def __init__(self, program: str) -> None:
        self._program = program
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str], port: int, log: Path) -> None:
        """Start the program in the folder of its log."""
        self._port = port
        command = self.command(arguments)
        # MariaDB removes, at its start, the temporary tables of all others that share its folder for them.
        environment = os.environ | {"TMPDIR": str(log.parent)}
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the starter, which then ends the server in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env=environment,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", self.guard_script, "guard", self.ward(), str(log.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The whole command line; a program has its port among the arguments."""
        return [self._program, *arguments]

    def ward(self) -> str:
        """Whom the guard ends."""
        return str(self.pid())

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise RuntimeError("this private server is not running; call start()")
        return self._process.pid

    def end(self, number: signal.Signals) -> None:
        """End process and guard."""
        process, guard = self._process, self._guard
        if process is not None:
            self.send(number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                process.wait(STOP_SECONDS)
        if guard is not None:
            with suppress(BrokenPipeError):
                guard.communicate(b"ended\n", timeout=STOP_SECONDS)
        self._process = self._guard = None

    def send(self, number: signal.Signals) -> None:
        """Send one signal to the process, which leads a group of its own, and to its children."""
        if self.is_running():
            os.killpg(self.pid(), signal.SIGCONT)  # a suspended server would never see the other
            os.killpg(self.pid(), number)

    def wait(self, seconds: float) -> int:
        """Wait for a program that ends by itself, and return its exit status."""
        if self._process is None:
            raise RuntimeError("this program is not running; call start()")
        return self._process.wait(seconds)

    def suspend(self) -> None:
        """SIGSTOP, and wait until it has really stopped."""
        os.kill(self.pid(), signal.SIGSTOP)
        os.waitpid(self.pid(), os.WUNTRACED)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid(), signal.SIGCONT)

    def remove(self) -> None:
        """Nothing is left of a process."""


class Container(NativeProcess):
    """A service of ``compose.yaml`` in a container of its own, kept over restarts.

    The process here is the Docker client that is attached to the container; signals go to the container.
    """

    guard_script = DOCKER_GUARD

    def __init__(self, compose_file: Path, service: str, container_port: int, name: str) -> None:
        super().__init__("docker")
        self._run = ["docker", "compose", "--file", str(compose_file), "run", "--no-deps", "--name", name]
        self._service = service
        self._container_port = container_port
        self._name = name
        self._exists = False

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Make the container the first time, start it again later."""
        if self._exists:
            return ["docker", "start", "--attach", self._name]
        self._exists = True
        published = f"127.0.0.1:{self._port}:{self._container_port}"
        return [*self._run, "--publish", published, self._service, *arguments]

    def ward(self) -> str:
        """The container, by name."""
        return self._name

    def send(self, number: signal.Signals) -> None:
        """Send one signal to the container."""
        self.docker("unpause")
        self.docker("kill", f"--signal={number.name}")

    def suspend(self) -> None:
        """Pause the container."""
        self.docker("pause")

    def resume(self) -> None:
        """Unpause the container."""
        self.docker("unpause")

    def remove(self) -> None:
        """Remove the container and its data."""
        self.docker("rm", "--force", "--volumes")

    def docker(self, *arguments: str) -> None:
        """One Docker command about the container; that it is gone already is no error."""
        command = ["docker", *arguments, self._name]
        subprocess.run(command, capture_output=True, timeout=STOP_SECONDS, check=False)
