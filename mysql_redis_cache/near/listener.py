"""One thread with a connection of its own to one Redis server: asks what a feed wants, and hears the pushes.

Whoever wants something of it leaves a note and rings; the thread alone touches the socket, since TLS does not
bear one thread that reads beside another that writes.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

import hiredis

from .feed import Feed, Unsuitable
from .talk import PIECE, Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mysql_redis_cache.options import Near
    from mysql_redis_cache.store import Server

    from .shelf import Shelf

__all__ = ["Listener", "Shared"]

logger = logging.getLogger("mysql_redis_cache.near")

MOST_WANTED = 256
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Shared(NamedTuple):
    """What the listeners of one near cache have in common.

    Attributes:
        shelf: where the entries are kept.
        lock: held while the shelf and feeds are written to.
        options: the near cache's.
        is_used: tells whether anybody still needs it; the threads end when not.
        moved: called when keys have moved within the cluster.
    """

    shelf: Shelf
    lock: threading.RLock
    options: Near
    is_used: Callable[[], bool]
    moved: Callable[[], None]


class Listener:
    """Keeps what one server has, in a thread that begins when something is wanted.

    Args:
        server: the server.
        shared: what it has in common with those of other servers.

    Attributes:
        feed: the conversation under way, if there is one.
    """

    def __init__(self, server: Server, shared: Shared) -> None:
        self.feed: Feed | None = None
        self._server = server
        self._shelf, self._lock, self._options, self._somebody_is_there, self._moved = shared
        self._wanted: deque[bytes] = deque(maxlen=MOST_WANTED)
        self._tickets: list[Callable[[], object]] = []
        self._runs = False
        self._start_again_at = 0.0
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._has_rung = False
        self._connection: Any = None
        self._is_told = False
        self._is_stopped = False
        self._name = b""
        self._thread: threading.Thread | None = None

    def want(self, key: bytes) -> None:
        """Have the entry *key* fetched."""
        self._wanted.append(key)
        if self._runs:
            self.ring()
        elif time.monotonic() >= self._start_again_at:
            self._start()

    def ring(self) -> None:
        """Have the thread look at its notes."""
        bell = self._bell
        if bell is None or self._has_rung:
            return
        self._has_rung = True
        with suppress(OSError):  # it ends just now, or is rung already
            bell[1].send(b"!")

    def ask(self) -> Callable[[], None] | None:
        """Ask for a beat; return what waits until all pushes up to now are known here, within a bound.

        ``None`` if nothing is kept or on its way, so that there is nothing to wait for.
        """
        ticket = threading.Lock()
        with self._lock:
            feed = self.feed
            if feed is None or feed.is_over or not (feed.marks or len(self._shelf)):
                return None
            ticket.acquire()
            self._tickets.append(ticket.release)
        self.ring()

        return partial(self._await_beat, feed, ticket, time.monotonic() + self._server.timeout)

    def stop(self) -> None:
        """Serve nothing more and end the thread; the lock is held."""
        self._is_stopped = True
        if self.feed is not None:
            self.feed.end()
        self.ring()

    def await_leave(self) -> None:
        """Wait, within the timeout of a read, until it is off the roll: else drops would wait for it."""
        thread = self._thread
        if self._options.strict and thread is not None and thread is not threading.current_thread():
            thread.join(self._server.timeout)

    def abandon(self) -> None:
        """Close the connection of a process that this one was forked from, and say nothing over it."""
        self._is_stopped = True
        connection, bell = self._connection, self._bell
        with suppress(Exception):
            if connection is not None:
                connection.disconnect()  # of another process: redis-py closes the descriptor, no more
        for end in bell or ():
            end.close()

    def _await_beat(self, feed: Feed, ticket: threading.Lock, until: float) -> None:
        if not ticket.acquire(timeout=max(0.0, until - time.monotonic())):
            with self._lock:
                feed.end()
            self.ring()

    # The thread

    def _is_used(self) -> bool:
        return not self._is_stopped and self._somebody_is_there()

    def _start(self) -> None:
        # Once in a while: starting may be interrupted, and then the thread may come or not.
        self._start_again_at = time.monotonic() + FIRST_PAUSE
        thread = threading.Thread(target=self._work, name="mysql_redis_cache-near", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            logger.warning("no thread could be started for the near cache")

    def _work(self) -> None:
        with self._lock:
            if self._runs:
                return
            self._runs = True
            self._thread = threading.current_thread()
        try:
            near, far = socket.socketpair()
            with near, far:
                far.setblocking(False)
                self._bell, self._has_rung = (near, far), False
                self._converse_again()
        finally:
            self._bell, self._thread, self._runs = None, None, False

    def _converse_again(self) -> None:
        pause = FIRST_PAUSE
        while self._is_used():
            began = time.monotonic()
            try:
                self._converse()
            except Exception as error:  # noqa: BLE001 - what a user's credential_provider raises too
                if self._is_used():
                    self._lost(error)
            if time.monotonic() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _converse(self) -> None:
        """Hold one conversation, from connecting to its end."""
        connection = self._connection = self._server.dial()
        talk = Talk(connection, self._server.timeout)
        feed = Feed(self._shelf, self._options, token_hex(8).encode())
        former, self._name = self._name, feed.name
        self.feed = feed
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(talk.socket, selectors.EVENT_READ)
                selector.register(self._bell[0], selectors.EVENT_READ)  # type: ignore[index]  # this thread's
                talk.say(feed.open(time.monotonic(), former))
                while self._is_used() and not feed.is_over:
                    self._listen(selector, talk, feed)
        finally:
            self._end(feed)
            self._take_leave(talk, feed)
            connection.disconnect()
            self._connection = None

    def _listen(self, selector: selectors.BaseSelector, talk: Talk, feed: Feed) -> None:
        """Wait for something to happen, and see to it."""
        wait = max(0.0, feed.next_beat() - time.monotonic())
        for key, _ in selector.select(wait):
            if key.fileobj is talk.socket:
                self._hear(talk.hear(), feed)
            else:
                self._answer_bell()
        now = time.monotonic()
        if feed.is_silent(now):
            raise Unsuitable(f"nothing was heard of Redis for {self._options.heartbeat} s")
        talk.say(self._notes(feed, now))

    def _hear(self, said: Sequence[object], feed: Feed) -> None:
        with self._lock:
            for each in said:
                if isinstance(each, hiredis.PushNotification):
                    feed.pushed(each)
                else:
                    feed.replied(each)
        if feed.has_moved:
            feed.has_moved = False
            self._moved()
        if self._is_told and feed.voucher.until > 0:
            self._is_told = False
            logger.warning("the near cache is on again")

    def _notes(self, feed: Feed, now: float) -> list[tuple[bytes, ...]]:
        """Return what is to be said now."""
        with self._lock:
            wanted = [self._wanted.popleft() for _ in range(len(self._wanted))]
            commands = feed.fetch(wanted, now)
            tickets, self._tickets = self._tickets, []
            if tickets or now >= feed.next_beat():
                commands += feed.beat(now, tickets)
        return commands

    def _end(self, feed: Feed) -> None:
        with self._lock:
            feed.end()
            self.feed = None
            self._shelf.take_out_all_of(feed.voucher)
            tickets, self._tickets = self._tickets, []
        for ticket in tickets:
            ticket()

    def _take_leave(self, talk: Talk, feed: Feed) -> None:
        """Have no drop wait for this one; if that is not heard they do, for a heartbeat."""
        with suppress(Exception):
            talk.say(feed.leave(feed.name))

    def _lost(self, error: Exception) -> None:
        with self._lock:
            self._shelf.losses += 1
        if not self._is_told:
            self._is_told = True
            logger.warning("the near cache is off until its connection to Redis is back: %s", error)

    def _sleep(self, seconds: float) -> None:
        """Wait, unless nobody needs this any more."""
        until = time.monotonic() + seconds
        bell = self._bell[0]  # type: ignore[index]  # this thread's
        while self._is_used() and (left := until - time.monotonic()) > 0:
            with suppress(OSError):
                bell.settimeout(left)
                bell.recv(PIECE)
            self._has_rung = False

    def _answer_bell(self) -> None:
        with suppress(OSError):  # there is something to be read
            self._bell[0].recv(PIECE)  # type: ignore[index]  # this thread's
        self._has_rung = False  # before the notes are looked at: what comes later rings again
