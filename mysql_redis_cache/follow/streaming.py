"""A follower of change events in Redis streams, where Debezium Server has written them."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from mysql_redis_cache.store import PATIENT, link
from mysql_redis_cache.store.streams import LostGroup, Streams

from .checking import examine, zone_of
from .envelopes import Envelopes
from .follower import Follower
from .outdated import Outdated
from .planning import Planner
from .schema import Schema, effects_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mysql_redis_cache.store.streams import Entry

    from .checking import Report
    from .rules import TableName
    from .source import Source

__all__ = ["StreamFollower"]

logger = logging.getLogger("mysql_redis_cache.follow")

_SCHEMES = {"redis-stream": "redis", "rediss-stream": "rediss"}
_FORM = "changes must be redis-stream://host:6379/0/prefix, with Debezium's topic.prefix"
_LOOK_EVERY = 5.0
_VISIBLE_WITHIN = 60.0


class StreamFollower(Follower):
    """Reads the change events that Debezium Server writes to Redis, and drops what changes outdate.

    Otherwise as ``Follower``, for those who run Debezium already. MySQL itself is asked for its schema, and
    whether a change is visible; the account needs SELECT on the tables that have rules, and on those that
    their foreign keys refer to.

    Args:
        changes: where the streams are, ``redis-stream://user:password@host:6379/0/prefix`` or
            ``rediss-stream://…``, with Debezium's ``topic.prefix``. Redis must be 7.0 or later.
        mysql_config: as for ``Follower``.
        redis_config: as for ``Follower``.
        rules: as for ``Follower``, without ``table_tags``.
        **options: as for ``Follower``.

    Raises:
        TypeError, ValueError: a bad argument.
    """

    def __init__(
        self,
        changes: str,
        mysql_config: Mapping[str, Any] | str | Sequence[Mapping[str, Any] | str],
        redis_config: object,
        rules: Mapping[str, object],
        **options: Any,
    ) -> None:
        url, self._topic = _parsed(changes)
        super().__init__(mysql_config, redis_config, rules, **options)
        if self._rules.table_tags:
            raise ValueError(
                "rules: table_tags needs the binary log; of streams only those of tables with rules are read"
            )
        self._changes = link(url, timeout=PATIENT)
        self._streams = Streams(self._changes, f"mrc-follow:{self._prefix}{options.get('name', 'default')}")
        self._ids: dict[str, str] = {}
        self._looked = time.monotonic()

    def close(self) -> None:
        """Close the connections to Redis, after ``run`` has returned; final."""
        super().close()
        self._changes.close()

    def _examined(self, source: Source) -> Report:
        report = examine(self._rules, source, Schema(source, self._rules.tables))
        if not self._streams.knows_counts():
            report.problems.append("the Redis of the streams is older than 7.0, which tells what was trimmed")
        missing = [name for name in self._names(self._rules.tables) if not self._streams.have(name)]
        if missing:
            report.notes.append(
                f"there is no stream {', '.join(missing)} yet: look at Debezium's topic.prefix and "
                "table.include.list, unless nothing was changed"
            )
        return report

    def _names(self, tables: Iterable[TableName]) -> list[str]:
        """Return the streams of some tables, and that of definitions."""
        topics = [f"{self._topic}.{schema}.{table}" for schema, table in tables]
        return [self._topic, *[re.sub(r"[^\w.-]", "_", topic, flags=re.ASCII) for topic in topics]]

    def _follow(self) -> None:
        with self._pick() as source:
            self._check_once(source)
            effects, declared = effects_now(self._rules, source)
            planner = Planner(self._rules, effects)
            envelopes = Envelopes(effects, declared, zone_of(source) or UTC)
            try:
                self._begin(self._names(effects))
                self._read(source, planner, envelopes)
            except LostGroup as error:
                logger.warning("the follower begins anew: %s", error)

    # Where to go on

    def _begin(self, names: list[str]) -> None:
        state = self._ledger.load()
        known = state.get("streams") if state else None
        new = self._streams.choose(names)
        if not isinstance(known, dict):
            self._afresh_from("no position is known", new)
        elif new:
            self._afresh_from(f"of {', '.join(new)} it is not known what was read", new)
        elif self._went_back(known):
            self._afresh_from("the streams went back", new)
        elif self._streams.skipped(known):
            self._afresh_from("the position went back", new)
        self._ids = self._streams.delivered()
        self._look_for_gaps()

    def _went_back(self, known: Mapping[str, str]) -> bool:
        delivered = self._streams.delivered()
        return any(_order(delivered[name]) < _order(known.get(name, "")) for name in delivered)

    def _afresh_from(self, reason: str, new: list[str]) -> None:
        self._ledger.save({})  # whoever ends in the midst of it leaves no position
        self._streams.begin(new)
        self._drop_everything(reason)
        self._ledger.save({"streams": self._streams.delivered()})

    def _look_for_gaps(self) -> None:
        self._looked = time.monotonic()
        self._ledger.confirm()
        self._progress.pending = self._streams.count_unread()
        gaps = self._streams.gaps()
        if gaps:
            self._drop_everything(f"entries of {', '.join(gaps)} were trimmed before they were read")
            self._streams.pass_over(gaps)

    # Reading

    def _read(self, source: Source, planner: Planner, envelopes: Envelopes) -> None:
        """Read until something is raised, or a table was redefined."""
        again = True
        while True:
            self._leading.look()
            entries = self._streams.read(again=again)
            if entries:
                self._progress.hear()
                if self._take(entries, source, planner, envelopes):
                    return
            elif not again:
                self._progress.be_level()
            again = again and bool(entries)
            if time.monotonic() - self._looked > _LOOK_EVERY:
                self._look_for_gaps()
                again = True  # a leader that was deposed may have read something, and ended

    def _take(self, entries: Sequence[Entry], source: Source, planner: Planner, envelopes: Envelopes) -> bool:
        """Drop what entries make outdated, then acknowledge them; return whether a table was redefined."""
        batch, gtids, is_redefined = Outdated(), list[str](), False
        for entry in entries:
            change = envelopes.read(entry.fields)
            gtids += [change.gtid] if change.gtid is not None else []
            for transaction in filter(None, map(planner.feed, change.events)):
                batch.merge(transaction.outdated)
                is_redefined |= transaction.changes_schema
        self._progress.counters.bump("events", len(entries))
        self._progress.counters.bump("transactions", len(entries))
        self._await_visible(source, gtids)
        self._performing.perform(batch)
        self._ids |= {entry.stream: entry.id for entry in entries}
        self._ledger.save({"streams": self._ids})
        self._streams.acknowledge(entries)
        return is_redefined

    def _await_visible(self, source: Source, gtids: Sequence[str]) -> None:
        until = time.monotonic() + _VISIBLE_WITHIN

        def look() -> None:
            self._leading.look()
            if time.monotonic() > until:
                raise _Invisible

        try:
            source.await_gtids(gtids, look)
        except _Invisible:
            logger.warning(
                "a change was not visible within %d s: is this the server that Debezium reads? What it "
                "outdates is dropped all the same",
                _VISIBLE_WITHIN,
            )


class _Invisible(Exception):
    """The server does not have what a stream tells of."""


def _parsed(changes: str) -> tuple[str, str]:
    """Return the URL of the Redis, and the prefix of the streams. Errors do not quote what has passwords."""
    try:
        parts = urlsplit(changes)
    except ValueError:
        raise ValueError(_FORM) from None
    database, _, topic = parts.path.strip("/").partition("/")
    if parts.scheme not in _SCHEMES or not database.isdecimal() or not topic:
        raise ValueError(_FORM)
    return urlunsplit(parts._replace(scheme=_SCHEMES[parts.scheme], path=f"/{database}")), topic


def _order(place: str) -> tuple[int, int]:
    milliseconds, _, number = place.partition("-")
    return int(milliseconds or 0), int(number or 0)
