"""What starts afresh in a forked child."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

from mysql_redis_cache.runtime import process
from tests.support.forks import in_child

if TYPE_CHECKING:
    import pytest


class Forked:
    """Counts how often it was told to start afresh, and in which process."""

    def __init__(self) -> None:
        self.times = 0
        self.pid = os.getpid()
        process.register(self)

    def after_fork_in_child(self) -> None:
        time.sleep(0.001)  # gives another thread the chance to come too early
        self.times += 1
        self.pid = os.getpid()


def test_a_child_starts_afresh_before_anything_else_runs_in_it() -> None:
    """Python's fork hook runs in the child, once, and not in the parent."""
    forked = Forked()

    assert in_child(lambda: [forked.times, forked.pid == os.getpid()]) == [1, True]
    assert forked.times == 0


def test_a_grandchild_starts_afresh_too() -> None:
    """Every fork counts."""
    forked = Forked()

    assert in_child(lambda: in_child(lambda: forked.times)) == 2


def test_checking_costs_nothing_where_nothing_was_forked() -> None:
    """In the same process nobody is told anything."""
    forked = Forked()
    process.check()

    assert forked.times == 0


def test_a_fork_behind_pythons_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server forked in C without running the hooks, the first public call sees another pid."""
    forked = Forked()
    monkeypatch.setattr(process, "_pid", -1)
    process.check()
    process.check()

    assert forked.times == 1


def test_no_thread_gets_ahead_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that make the first calls at once all find everything afresh, done once."""
    forked = Forked()
    monkeypatch.setattr(process, "_pid", -1)
    start, seen = threading.Barrier(8), []

    def first_call() -> None:
        start.wait(10)
        process.check()
        seen.append(forked.times)

    threads = [threading.Thread(target=first_call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert seen == [1] * 8


def test_what_is_gone_is_forgotten() -> None:
    """Registering keeps nothing alive."""
    forked = Forked()
    gone = weakref.ref(forked)
    del forked
    gc.collect()

    assert gone() is None


def test_it_can_be_imported_where_there_is_no_fork() -> None:
    """Windows' Python has neither fork nor its hooks, nor ``select.poll``."""
    code = """
import os, select
import asyncio, concurrent.futures.thread, logging, random, socket, ssl, subprocess, threading
import anyio, pymysql, redis
del os.register_at_fork, os.fork, select.poll
import mysql_redis_cache
client = mysql_redis_cache.MRCClient("mysql://localhost/", "redis://localhost")
print(client.get_key_from_query("SELECT 1"))
client.close()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_process_has_a_label() -> None:
    """The same for as long as it lives; a child has one of its own."""
    assert process.label() == process.label()
    assert process.label().split(":")[-2] == str(os.getpid())
    ours, childs, pid = [process.label(), *in_child(lambda: [process.label(), str(os.getpid())])]
    assert childs != ours
    assert childs.split(":")[-2] == pid
