"""The followers of ``tools.chaos``: two processes, which say several times a second what lag they have."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from tools.chaos_watch import Report

__all__ = ["SPOILED", "Followers"]

SPOILED = {
    "follower": "",
    "position": """
import time
from mysql_redis_cache.follow import session
from mysql_redis_cache.follow.outdated import Outdated
def flush(self):
    batch, self._batch, self._gtids = self._batch, Outdated(), []
    self._save()
    time.sleep(0.3)
    self._performing.perform(batch)
session.Session._flush = flush
""",
    "visibility": """
from mysql_redis_cache.follow import source
source.Source.await_visible = lambda *arguments: None
""",
    "lag": """
import time
from mysql_redis_cache.follow import follower, progress
drop = follower.Follower._drop
def late(self, outdated):
    time.sleep(2.0)
    return drop(self, outdated)
follower.Follower._drop = late
progress.Progress.lag = 0.0
""",
}
_RUN = """
import os, threading, time
from mysql_redis_cache.follow import Follower
follower = Follower(*{arguments!r}, lease=1.0)
def report():
    while True:
        moment, state = time.monotonic(), follower.stats()
        if state["leader"] and state["lag"] is not None:
            os.write(1, b"%f %d %f\\n" % (moment, os.getpid(), state["lag"]))
        time.sleep(0.05)
threading.Thread(target=report, daemon=True).start()
follower.run()
"""


class Followers:
    """Two processes that follow.

    Args:
        arguments: of ``Follower``.
        spoil: what is taken out, one of ``SPOILED``.
    """

    def __init__(self, *arguments: Any, spoil: str | None = None) -> None:
        self._code = SPOILED.get(spoil or "", "") + _RUN.format(arguments=arguments)
        # Both write to the end of each, wherever somebody else reads.
        self._said = tempfile.TemporaryFile("a+")  # noqa: SIM115 - end() closes it
        self._reported = tempfile.TemporaryFile("a+")  # noqa: SIM115 - end() closes it
        self.running = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", self._code]
        return subprocess.Popen(command, stdout=self._reported, stderr=self._said)

    def kill_one(self) -> None:
        """Kill the one that began first, and have another begin."""
        killed = self.running.pop(0)
        killed.kill()
        killed.wait()
        self.running.append(self._start())

    def freeze_one(self, seconds: float) -> None:
        """Have one stand still for longer than its lease, and then go on as if nothing had been."""
        self.running[0].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.running[0].send_signal(signal.SIGCONT)

    def said(self) -> str:
        """Return the last of what they have said."""
        self._said.seek(0)
        return self._said.read()[-3000:]

    def end(self) -> list[Report]:
        """End both; return what those that led have reported."""
        for each in self.running:
            each.send_signal(signal.SIGCONT)
            each.kill()
            each.wait()
        self._reported.seek(0)
        lines = [line.split() for line in self._reported]
        self._said.close()
        self._reported.close()
        return [Report(float(moment), int(who), float(lag)) for moment, who, lag in lines]
