"""Application servers as real processes: started on a loopback port, ended by pid, asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tools.private_servers import free_port
from tools.runners import NativeProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ROOT", "ServingProcess", "eventually", "is_alive"]

ROOT = Path(__file__).parents[2]
SECONDS = 30.0


def eventually(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait until *condition* gives something true, and return it."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return found


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie (which only Linux tells)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    about = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return about.read_text().rpartition(")")[2].split()[0] != "Z"
    return not Path("/proc/self").exists()


class ServingProcess:
    """A Python program that serves, with its children.

    Args:
        folder: where it runs and writes its log.
        arguments: Python's; ``PORT`` in one of them becomes a free port.
    """

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self.port = free_port()
        self.log = folder / "log"
        self._process = NativeProcess(sys.executable)
        self._arguments = [each.replace("PORT", str(self.port)) for each in arguments]

    def __enter__(self) -> Self:
        self._process.start(self._arguments, self.port, self.log)
        self.pid = self._process.pid()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # its own group: workers that outlived it, too
        self._process.end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the master alone."""
        os.kill(self.pid, number)

    def stop(self, *signals: signal.Signals) -> None:
        """End it in order: by SIGTERM, or by the first of *signals* that does it; raise if none does."""
        for number in signals or (signal.SIGTERM,):
            self.send(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS)
                return
        raise AssertionError(f"it did not end within {SECONDS:g} s; its log: {self.log.read_text()}")

    def ask(self, view: str, number: int = 0) -> dict[str, Any]:
        """Return the answer of a view; raise what the server or the network says instead."""
        address = f"http://127.0.0.1:{self.port}/{view}?number={number}"
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as response:
                return json.load(response)  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None

    def await_answer(self) -> None:
        """Wait until it serves."""

        def answers() -> bool:
            assert self._process.is_running(), self.log.read_text()
            with suppress(ConnectionError, urllib.error.URLError):
                return bool(self.ask("answer"))
            return False

        eventually(answers, f"an answer; the log: {self.log.read_text()[-3000:]}")
