"""The follower: leads or stands by, follows, and goes on after whatever happens."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.binlog import Reader
from mysql_redis_cache.database.config import parse_mysql_config
from mysql_redis_cache.database.failures import err, errno_of
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.drops.budget import Budget
from mysql_redis_cache.errors import CacheUnavailable, DatabaseUnavailable, DropTimeout
from mysql_redis_cache.keys import Namespace
from mysql_redis_cache.policy import seconds
from mysql_redis_cache.runtime import Flag
from mysql_redis_cache.store import PATIENT, Noticeboard, link
from mysql_redis_cache.store.ledger import Deposed, Ledger, WentBack

from .checking import CannotFollow, Report, examine, zone_of
from .leading import Leading, Stopped
from .outdated import Outdated
from .performing import Performing
from .place import Position, is_exact
from .planning import Planner
from .progress import Progress
from .rules import parse_rules
from .schema import Schema
from .session import LogReset, Session
from .source import Source
from .stream import FilePosition, GtidPosition, Stream
from .telling import Telling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mysql_redis_cache.observe import Events

__all__ = ["Follower"]

logger = logging.getLogger("mysql_redis_cache.follow")

_DROP_TIMEOUT = 600.0
_HEARTBEAT = 1.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_LOST_POSITION = 1236
_TWICE = "same server_uuid/server_id"


class Follower:
    """Reads the binary log of a MySQL or MariaDB server as a replica would, and drops what changes outdate.

    An entry that a committed change makes outdated is gone at most the lag after the change became visible,
    whoever made the change. Several followers of one name may run: one leads, the others stand by. ``run``
    follows until ``stop`` is called.

    The account needs REPLICATION SLAVE, and SELECT on the tables that have rules and on those that their
    foreign keys refer to.

    Args:
        mysql_config: where MySQL is, as for ``MRCClient``; or a list of such, of which the first that takes
            writes is followed, and after a failover the next. It must be the server that loads read.
        redis_config: where the cache is, as for ``MRCServer``.
        rules: by ``"schema.table"``: names to columns (``{"UserId": "user_id"}``, ``{"UserId StoreId":
            ["user_id", "store_id"]}``) and ``drop``, a list of names; and ``table_tags``.
        name: tells followers of several servers apart.
        namespace: as of the clients.
        index: as of the clients.
        wait_replicas: as of ``MRCServer``.
        lease: seconds after which another takes over from a leader that gives no sign of life.
        max_lag: seconds of lag from which on the log has a warning, and ``events`` a ``LateInvalidation``.

    Raises:
        TypeError, ValueError: a bad argument.
    """

    def __init__(
        self,
        mysql_config: Mapping[str, Any] | str | Sequence[Mapping[str, Any] | str],
        redis_config: object,
        rules: Mapping[str, object],
        *,
        name: str = "default",
        namespace: str | None = None,
        index: bool = False,
        wait_replicas: int = 0,
        lease: float = 5.0,
        max_lag: float = 30.0,
    ) -> None:
        several: Any = mysql_config if isinstance(mysql_config, (list, tuple)) else [mysql_config]
        self._configs = [parse_mysql_config(each) for each in several]
        if not self._configs:
            raise ValueError("mysql_config is an empty list; name at least one server")
        self._rules = parse_rules(rules)
        entries = Namespace(namespace)
        self._prefix = entries.prefix
        lease = seconds("lease", lease)
        if not lease:
            raise ValueError("lease must be positive")
        self._link = link(redis_config, timeout=PATIENT)
        self._drops = Drops(self._link, entries, indexed=index, wait_replicas=wait_replicas)
        self._ledger = Ledger(self._link, self._prefix + name, lease)
        self._progress = Progress(name, 3 * _HEARTBEAT, seconds("max_lag", max_lag))
        self._stopping = Flag()
        self._leading = Leading(self._ledger, lease, self._progress, self._stopping)
        self._performing = Performing(self._drop, self._progress, self._leading.look, self._stopping.wait)
        self._telling = Telling(name, self.stats, Noticeboard(self._link, self._prefix))
        self._server_id = 1 << 28 | secrets.randbits(28)
        self._was_checked = False

    # What users call

    def check(self) -> Report:
        """Hold the rules against the server, and follow nothing.

        Returns:
            what would go wrong, and what is to be known.

        Raises:
            CacheUnavailable: Redis did not answer.
            DatabaseUnavailable: no server can be reached.
            pymysql.err.Error: MySQL refuses.
        """
        self._ledger.peek()
        with self._pick() as source:
            return self._examined(source)

    def run(self) -> None:
        """Follow until ``stop`` is called; blocks.

        Raises:
            CannotFollow: the check found what would go wrong.
            pymysql.err.Error: MySQL refuses the account.
        """
        pause = _SHORTEST_PAUSE
        with self._leading.renewed(), self._telling.repeated():
            while not self._stopping.is_raised:
                began = time.monotonic()
                self._go_on()
                lasted = time.monotonic() - began > _LONGEST_PAUSE
                pause = _SHORTEST_PAUSE if lasted else min(2 * pause, _LONGEST_PAUSE)
                self._stopping.wait(pause)

    def stop(self) -> None:
        """Have ``run`` return, within seconds; from any thread, or a signal handler."""
        self._stopping.put_up()

    def close(self) -> None:
        """Close the connections to Redis, after ``run`` has returned; final."""
        self.stop()
        self._link.close()

    @property
    def name(self) -> str:
        """Its name."""
        return self._progress.name

    @property
    def events(self) -> Events:
        """Those who listen: ``follower.events.subscribe(hook)`` has it called when it has fallen behind."""
        return self._progress.events

    def stats(self) -> dict[str, Any]:
        """Return how it is doing.

        Returns:
            ``leader``; ``lag`` in seconds and ``pending`` transactions (``None`` if another leads);
            ``problem``, what it waits for; ``server``, ``file``, ``offset`` and ``gtids`` of its position,
            ``prepared`` XA transactions; and counts: ``events`` read, ``transactions``, ``batches`` dropped
            at once, their ``values``, ``dropped`` entries, names dropped ``wide``, starts ``afresh``,
            ``reconnects``, ``retries`` of drops.
        """
        return self._progress.snapshot()

    # Going on

    def _go_on(self) -> None:
        """Lead and follow until something happens; say what."""
        try:
            self._leading.gain()
            self._follow()
        except Stopped:
            pass
        except Deposed:
            self._progress.is_leader = False
            logger.warning("another follower leads by now")
        except WentBack as error:
            self._say(f"starting over: {error}")
        except (CacheUnavailable, DropTimeout, DatabaseUnavailable) as error:
            self._say(str(error))
        except err.Error as error:
            if not self._was_checked:
                raise
            self._say(f"MySQL: {error.args[-1] if error.args else error}")

    def _say(self, problem: str) -> None:
        if problem != self._progress.problem:
            logger.warning("the follower was interrupted: %s", problem)
        self._progress.problem = problem
        self._progress.counters.bump("reconnects")

    # Following

    @contextmanager
    def _pick(self) -> Iterator[Source]:
        """Connect to the first server of the list that takes writes; to the only one whatever it takes."""
        failure: Exception | None = None
        for config in self._configs:
            try:
                source = Source(config)
            except DatabaseUnavailable as error:
                failure = error
                continue
            with source:
                if len(self._configs) == 1 or source.takes_writes:
                    yield source
                    return
            failure = DatabaseUnavailable(f"MySQL at {config.address} takes no writes")
        raise failure or DatabaseUnavailable("no MySQL server")

    def _follow(self) -> None:
        with self._pick() as source:
            self._check_once(source)
            position = self._position(source)
            try:
                self._follow_from(source, position)
            except LogReset as error:
                self._afresh(source, str(error))
            except err.Error as error:
                if errno_of(error) != _LOST_POSITION or _TWICE in str(error):
                    raise
                self._afresh(source, f"the position is not in the server's logs any more: {error.args[1]}")

    def _examined(self, source: Source) -> Report:
        report = examine(self._rules, source, Schema(source, self._rules.tables))
        try:
            Stream(source.config, Reader({}), self._server_id, _HEARTBEAT).close()
        except err.Error as error:
            if errno_of(error) not in {1045, 1227}:
                raise
            report.problems.append("the account must not read the log: GRANT REPLICATION SLAVE ON *.*")
        return report

    def _check_once(self, source: Source) -> None:
        if self._was_checked:
            return
        report = self._examined(source)
        if report.problems:
            raise CannotFollow(tuple(report.problems))
        for note in report.notes:
            logger.info("follower: %s", note)
        self._was_checked = True

    def _position(self, source: Source) -> Position:
        """Return where to go on; afresh if that cannot be told."""
        position = Position.from_json(self._ledger.load())
        if position is None:
            return self._afresh(source, "no position is known")
        try:
            has_all = source.has(position.gtids)
        except ValueError as error:
            return self._afresh(source, f"the position is of no use: {error}")
        if not has_all:
            return self._afresh(source, "the server lacks transactions that were followed before")
        if position.server == source.identity:
            return position
        if not self._has_all_of(source, position.server):
            return self._afresh(source, "another server is followed, which may lack what the last one had")
        logger.warning("another server is followed by GTID from now on: %s", source.identity)
        return position

    def _has_all_of(self, source: Source, identity: str) -> bool:
        """Whether a server has all that another has committed; not if that cannot be asked.

        What it had committed last may have been read, and neither followed nor replicated.
        """
        for config in self._configs:
            try:
                with Source(config) as other:
                    if other.identity == identity:
                        return not other.takes_writes and source.has(other.logged())
            except (DatabaseUnavailable, err.Error):
                continue
        return False

    def _afresh(self, source: Source, reason: str) -> Position:
        """Follow from now on, after dropping whatever may be outdated already."""
        began = time.monotonic()
        position = source.here()
        self._drop_everything(reason)
        self._progress.begin(began)
        self._ledger.save(position.as_json())
        self._progress.position = position
        return position

    def _drop_everything(self, reason: str) -> None:
        self._progress.counters.bump("afresh")
        everything = Outdated()
        everything.widen(self._rules.names, reason)
        logger.warning(
            "%s: all entries of %s are dropped, and what is changed is followed from here on",
            reason,
            ", ".join(sorted(self._rules.names)),
        )
        self._drop(everything)

    def _follow_from(self, source: Source, position: Position) -> None:
        if position.server != source.identity:
            position = replace(position, file="", offset=0, born=0)
        reader = Reader({}, zone_of(source) or UTC)
        planner = Planner(self._rules, {}, position.prepared)
        with Stream(source.config, reader, self._server_id, _HEARTBEAT) as stream:
            session = Session(
                source,
                stream,
                reader,
                planner,
                position,
                performing=self._performing,
                ledger=self._ledger,
                progress=self._progress,
                look=self._leading.look,
            )
            session.reload()
            here = FilePosition(position.file, position.offset)
            stream.start(here if is_exact(position.file, position.offset) else GtidPosition(position.gtids))
            self._progress.position = position
            session.run()

    def _drop(self, outdated: Outdated) -> int:
        matchers = outdated.matchers(self._prefix)
        return self._drops.perform(matchers, Budget(_DROP_TIMEOUT)) if matchers else 0
