"""Following over one connection: from events to drops, and the position that moves after them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from mysql_redis_cache.binlog import Wanted, files
from mysql_redis_cache.gtids import count_missing, covers

from .outdated import Outdated
from .pacing import Pace
from .place import Followed, Place, Position, is_exact
from .schema import effects_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.binlog import Event, Reader
    from mysql_redis_cache.store.ledger import Ledger

    from .performing import Performing
    from .planning import Planner, Transaction
    from .progress import Progress
    from .source import Source
    from .stream import Stream

__all__ = ["LogReset", "Session"]

_MOST_VALUES = 50_000
"""Values that one drop is for; more are dropped in turn."""

_SAVE_EVERY = _LOOK_EVERY = 1.0
_RELOAD_EVERY = 1.0
_BETWEEN = (files.Rotate, files.FormatDescription, files.Heartbeat)


class LogReset(Exception):
    """The log is not the one that the position is of."""


class Session:
    """One connection's worth of following. Not for several threads.

    Args:
        source: the server, asked.
        stream: its log, begun at *position*.
        reader: what reads the stream.
        planner: what makes drops of events.
        position: where the stream begins.
        performing: performs drops.
        ledger: keeps the position.
        progress: is told how it goes.
        look: called often; what it raises ends the session.
    """

    def __init__(
        self,
        source: Source,
        stream: Stream,
        reader: Reader,
        planner: Planner,
        position: Position,
        *,
        performing: Performing,
        ledger: Ledger,
        progress: Progress,
        look: Callable[[], object],
    ) -> None:
        self._source, self._stream, self._reader, self._planner = source, stream, reader, planner
        self._performing, self._ledger, self._progress = performing, ledger, progress
        self._look = look
        self._place = Place(position)
        self._followed = Followed(position.gtids, source.is_mariadb)
        self._ended = (position.file, position.offset, position.born, position.stamp)
        self._batch, self._gtids = Outdated(), list[str]()
        self._pace = Pace()
        self._saved = self._reloaded = self._looked = time.monotonic()
        self._is_saved = True
        self._backlog, self._had = "", position.gtids
        self._logged, self._unsent = "", math.inf

    def run(self) -> None:
        """Follow until something is raised.

        Raises:
            LogReset: the log is not the one that the position is of.
            Deposed, WentBack: as ``Ledger.save``, ``Ledger.confirm``.
            DatabaseUnavailable: the connection was lost.
            pymysql.err.Error: MySQL's answer.
        """
        self._backlog = self._logged = self._source.logged()
        try:
            for event in self._stream.events():
                self._progress.counters.bump("events")
                self._look()
                self._take(event)
                if not self._planner.is_within:
                    self._between()
        finally:
            self._progress.lose_touch()

    def _take(self, event: Event) -> None:
        if isinstance(event, files.Heartbeat):
            self._backlog = ""  # there is no more
            self._confirm_log()
        else:
            self._progress.hear()
        reason = self._place.feed(event)
        if reason is not None:
            raise LogReset(reason)
        if self._place.has_crashed:
            self._place.has_crashed = False
            if self._source.loses_commits:
                self._finish(self._planner.doubt("the server crashed and may have lost what its log has"))
        self._finish(self._planner.feed(event))
        if isinstance(event, _BETWEEN) and not self._planner.is_within:
            self._move_between()

    def _confirm_log(self) -> None:
        """Look whether the server has what it had: of a log that was reset it says that there is no more.

        What was read is not held against it at once: the log may be ahead of the engine, for seconds. And
        look whether it has sent what its log had a heartbeat ago: other transactions may have got the names
        of those that were followed. What it never sent, as of a server that was cloned, is none of those.
        """
        followed = str(self._followed)
        if self._source.has_now(followed):
            self._had = followed
        elif not self._source.has_now(self._had):
            raise LogReset("the server lacks transactions that were followed: its log was reset")
        unsent = count_missing(followed, self._logged)
        if unsent > self._unsent:
            raise LogReset("the server does not send transactions that its log has: it was reset")
        self._unsent, self._logged = unsent, self._source.logged()

    def _finish(self, transaction: Transaction | None) -> None:
        """Have a transaction that has ended be part of the next drop."""
        if transaction is None:
            return
        self._progress.counters.bump("transactions")
        self._move()
        if transaction.gtid is not None:
            self._followed.add(transaction.gtid)
        if transaction.outdated:
            if self._batch:
                self._batch.merge(transaction.outdated)
            else:
                self._batch = transaction.outdated  # as it is: it may be large
                self._pace.begin()
            if transaction.gtid is not None:
                self._gtids.append(transaction.gtid)
        if transaction.changes_schema or (
            transaction.is_misfit and self._is_time(self._reloaded, _RELOAD_EVERY)
        ):
            self._flush()  # which waits until the change of the schema can be seen
            self.reload()

    def _move_between(self) -> None:
        """Move to where no transaction has ended: to another file, or past what need not be sent."""
        file, offset, born, _ = self._ended
        if (self._place.file, self._place.offset, self._place.born) == (file, offset, born):
            return
        if self._place.born != born or not is_exact(
            file, offset
        ):  # tell a reset or crashed log: saved at once
            self._saved = -math.inf
        self._move()

    def _move(self) -> None:
        place = self._place
        self._ended = (place.file, place.offset, place.born, place.stamp)
        self._is_saved = False

    def _between(self) -> None:
        """Between two transactions: drop, save, or wait for more."""
        has_more = self._stream.has_more
        if self._batch:
            if not has_more or self._pace.is_over or len(self._batch) >= _MOST_VALUES:
                self._flush()
        elif self._is_time(self._saved, _SAVE_EVERY):
            self._confirm() if self._is_saved else self._save()
        if not has_more and not self._batch and self._has_caught_up():
            self._progress.be_level()
        elif self._is_time(self._looked, _LOOK_EVERY):
            self._progress.pending = self._source.count_missing(str(self._followed)) + len(self._gtids)
            self._looked = time.monotonic()

    def _has_caught_up(self) -> bool:
        """Whether all is followed that was in the log before: more of it may come than is here already."""
        if self._backlog and covers(str(self._followed), self._backlog):
            self._backlog = ""
        return not self._backlog

    def _is_time(self, since: float, seconds: float) -> bool:
        return time.monotonic() - since >= seconds

    # Drops

    def _flush(self) -> None:
        """Wait until what was read is visible, drop what it has made outdated, and only then move on."""
        file, offset, _, _ = self._ended
        self._source.await_visible(self._gtids, file, offset, self._look)
        self._pace.took(self._performing.perform(self._batch))
        self._batch, self._gtids = Outdated(), []
        self._save()

    def _save(self) -> None:
        file, offset, born, stamp = self._ended
        prepared = dict(self._planner.prepared)
        position = Position(self._source.identity, file, offset, born, str(self._followed), stamp, prepared)
        self._ledger.save(position.as_json())
        self._progress.position = position
        self._saved, self._is_saved = time.monotonic(), True

    def _confirm(self) -> None:
        """Look, with nothing to save, whether Redis has gone back: entries, and the position of that time."""
        self._ledger.confirm()
        self._saved = time.monotonic()

    # The schema

    def reload(self) -> None:
        """Read the schema again."""
        self._planner.effects, declared = effects_now(self._planner.rules, self._source)
        self._reader.want(
            {
                table: Wanted(effect.columns, declared.get(table, ()))
                for table, effect in self._planner.effects.items()
            }
        )
        self._reloaded = time.monotonic()
