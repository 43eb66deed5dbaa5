"""Which process this is, and what to do in a child after a fork.

A forked child inherits sockets that the parent goes on using and locks that some other thread of the parent
may hold. Whatever keeps either registers here and starts afresh in the child. ``os.register_at_fork`` covers
``os.fork`` and what is built on it; servers that fork in C without calling Python's hooks (uWSGI by default)
are noticed by ``check``, which every public call makes first.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forkable", "check", "label", "register"]


class Forkable(Protocol):
    """Something that must start afresh in a forked child."""

    def after_fork_in_child(self) -> None:
        """Replace inherited locks, connections and threads; take no lock and send nothing."""


_registered: WeakSet[Forkable] = WeakSet()
_pid = os.getpid()
# One for each process: an inherited lock may be held by a thread that only the parent has.
_locks: dict[int, threading.Lock] = {}
_labels: dict[int, str] = {}


def register(forkable: Forkable) -> None:
    """Have *forkable* start afresh in every forked child, for as long as it lives."""
    _registered.add(forkable)


def check() -> None:
    """Start everything afresh if this process was forked without Python's hooks being run."""
    if os.getpid() != _pid:
        _start_afresh()


def label() -> str:
    """Return ``host:pid:random``: who this process is, to those who look from outside."""
    pid = os.getpid()
    known = _labels.get(pid)  # a forked child is another one
    return known or _labels.setdefault(pid, f"{socket.gethostname()}:{pid}:{os.urandom(4).hex()}")


def _start_afresh() -> None:
    global _pid  # noqa: PLW0603 - the process id is a property of the process, so it is module state
    pid = os.getpid()
    with _locks.setdefault(pid, threading.Lock()):
        if pid == _pid:  # another thread of this process was faster
            return
        for forkable in list(_registered):
            forkable.after_fork_in_child()
        _pid = pid


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_start_afresh)
