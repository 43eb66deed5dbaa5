"""From events to what they make outdated, transaction by transaction.

What cannot be told exactly is dropped widely: there is no event that is passed over because it was not
understood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.binlog import Undecodable, files, mariadb_gtids, rows, statements, transactions
from mysql_redis_cache.binlog.events import Ignorable, Unknown
from mysql_redis_cache.binlog.payloads import TransactionPayload
from mysql_redis_cache.binlog.tables import TableMap

from .effects import Effect
from .outdated import Outdated
from .rules import TABLE_TAG
from .wording import Act, is_plain, mentions, said, words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mysql_redis_cache.binlog import Event

    from .rules import Combination, Rules, TableName

__all__ = ["Planner", "Transaction"]

_MOST_WORDS = 500
_MOST_PREPARED = 10_000
_SYSTEM = frozenset(["mysql", "performance_schema", "sys"])
_HARMLESS = (
    files.BinlogCheckpoint,
    files.FormatDescription,
    files.Heartbeat,
    files.Rotate,
    files.StartEncryption,
    files.Stop,
    Ignorable,
    mariadb_gtids.GtidList,
    statements.AppendBlock,
    statements.BeginLoadQuery,
    statements.DeleteFile,
    statements.IntVar,
    statements.Rand,
    statements.RowsQuery,
    statements.UserVar,
    TableMap,
    TransactionPayload,
    transactions.PreviousGtids,
    transactions.TransactionContext,
    transactions.ViewChange,
)
"""Events that change nothing by themselves."""


@dataclass(slots=True)
class Transaction:
    """What one transaction, or a statement by itself, has made outdated.

    Attributes:
        gtid: its GTID; ``None`` if it has none.
        outdated: what it comes to.
        changes_schema: whether a table with rules may be another now.
        is_misfit: whether a table with rules was not what its rules take it for.
    """

    gtid: str | None = None
    outdated: Outdated = field(default_factory=Outdated)
    changes_schema: bool = False
    is_misfit: bool = False


class Planner:
    """Takes the events of a log in their order.

    Args:
        rules: the rules.
        effects: what a change of each table comes to, as ``effects`` returns it; may be replaced.
        prepared: what transactions that are prepared and not yet committed make outdated, by their name.

    Attributes:
        prepared: the same, as it is now.
    """

    def __init__(
        self,
        rules: Rules,
        effects: Mapping[TableName, Effect],
        prepared: Mapping[str, Outdated] | None = None,
    ) -> None:
        self.rules = rules
        self.effects = effects
        self.prepared = dict(prepared or {})
        self._open = Transaction()
        self._is_group = self._is_unsure = False
        self._acts: dict[type[Event], Callable[[Any], Transaction | None]] = {
            rows.Rows: self._rows,
            rows.OpaqueRows: self._opaque_rows,
            statements.Query: self._query,
            statements.ExecuteLoadQuery: self._query,
            transactions.Gtid: self._gtid,
            transactions.Xid: lambda _: self._end(),
            transactions.XaPrepare: self._prepare,
            mariadb_gtids.MariaGtid: self._maria_gtid,
        }

    @property
    def is_within(self) -> bool:
        """Whether a transaction has begun whose end has not come."""
        return self._is_group or bool(self._open.outdated) or self._open.gtid is not None

    def feed(self, event: Event) -> Transaction | None:
        """Take the next event; return the transaction that ends with it, if one does."""
        act = self._acts.get(type(event))
        if act is not None:
            return act(event)
        if not isinstance(event, _HARMLESS):
            reason = event.reason if isinstance(event, Unknown) else type(event).__name__
            return self.doubt(f"an event that is not understood: {reason}")
        if self._is_unsure and isinstance(event, files.Heartbeat):
            return self._end()  # the server sends whole transactions, so the end was missed
        return None

    def doubt(self, reason: str) -> Transaction | None:
        """Have everything be outdated, at once or with the transaction that is open."""
        self._open.outdated.widen(self.rules.names, reason)
        self._open.changes_schema = self._is_unsure = True
        return None if self._is_group or self._open.gtid is not None else self._end()

    # --- where transactions begin and end ------------------------------------------------------------------

    def _begin(self, gtid: str | None, *, is_group: bool) -> Transaction | None:
        """Begin a transaction; one whose end was missed ends here."""
        missed = self._end() if self.is_within else None
        self._open.gtid = gtid
        self._is_group = is_group
        return missed

    def _end(self) -> Transaction:
        ended, self._open = self._open, Transaction()
        self._is_group = self._is_unsure = False
        return ended

    def _gtid(self, event: transactions.Gtid) -> Transaction | None:
        return self._begin(event.gtid, is_group=False)

    def _maria_gtid(self, event: mariadb_gtids.MariaGtid) -> Transaction | None:
        return self._begin(event.gtid, is_group=not event.is_standalone)

    def _prepare(self, event: transactions.XaPrepare) -> Transaction:
        ended = self._end()
        if not event.is_one_phase:
            # Visible with XA COMMIT only, maybe days from now; but for what engines without transactions did.
            self.prepared[event.xid] = kept = Outdated()
            kept.merge(ended.outdated)
            if len(kept) > _MOST_PREPARED:
                kept.widen_all(f"more than {_MOST_PREPARED:,} values of a prepared transaction")
        return ended

    # --- rows ----------------------------------------------------------------------------------------------

    def _rows(self, event: rows.Rows) -> None:
        name = (event.table.schema, event.table.name)
        effect = self.effects.get(name)
        if self.rules.table_tags and event.table.schema not in _SYSTEM:
            self._open.outdated.add_texts(TABLE_TAG, [event.table.name])
        if effect is None:
            return
        outdated, rule = self._open.outdated, effect.rule
        outdated.widen(rule.drop, "")
        combinations = list(rule.combinations)
        if _changes(event, effect.keys):
            outdated.widen(effect.names, "")
            outdated.add_texts(TABLE_TAG, effect.tags)
            combinations += effect.children
            self._add_nulls(outdated, effect)
        self._add(outdated, event, combinations)

    def _add(self, outdated: Outdated, event: rows.Rows, combinations: list[Combination]) -> None:
        places = {column: place for place, column in enumerate(event.columns)}
        for each in combinations:
            images = [
                [side[places[column]] for column in each.columns]
                for side in (event.before, event.after)
                if side
            ]
            outdated.add(each.names, *images)

    def _add_nulls(self, outdated: Outdated, effect: Effect) -> None:
        """Children whose key was set to NULL are found under that by whoever asks for NULL."""
        for each in effect.children:
            outdated.add(each.names, [[None]] * len(each.columns))

    def _opaque_rows(self, event: rows.OpaqueRows) -> None:
        name = (event.table.schema, event.table.name)
        self._widen(name, f"rows of {'.'.join(name)} that cannot be told: {event.reason}")
        self._open.is_misfit |= name in self.effects

    def _widen(self, table: TableName, reason: str) -> None:
        """Have all that hangs on a table be outdated."""
        outdated = self._open.outdated
        effect = self.effects.get(table) or Effect()
        outdated.widen(effect.all_names, reason)
        if self.rules.table_tags:
            outdated.add_texts(TABLE_TAG, [table[1], *effect.tags])

    # --- statements ----------------------------------------------------------------------------------------

    def _query(self, event: statements.Query) -> Transaction | None:
        text = event.text
        act, xid = said(text)
        if act is Act.BEGIN:
            self._is_group = True
            return None
        if act in {Act.COMMIT, Act.ROLLBACK}:
            return self._end()
        if act is Act.XA_COMMIT:
            self._commit(xid)
        elif act is Act.XA_ROLLBACK:
            self.prepared.pop(xid, None)
        elif act is Act.SCHEMA:
            self._schema(text)
        elif act is Act.DEFINITION:
            self._definition(text)
        elif act is Act.WRITE:
            self._open.outdated.widen(self.rules.names, f"a statement in place of rows: {_shown(text)}")
        return None if self._is_group else self._end()

    def _commit(self, xid: str) -> None:
        outdated = self.prepared.pop(xid, None)
        if outdated is not None:
            self._open.outdated.merge(outdated)
        else:
            self._open.outdated.widen(
                self.rules.names, "a transaction that was prepared before the log was read"
            )

    def _schema(self, text: str) -> None:
        self._open.changes_schema = True
        for table in self.effects:
            if mentions(text, table[0]):
                self._widen(table, f"its schema was changed: {_shown(text)}")
        if self.rules.table_tags:
            self._open.outdated.widen([TABLE_TAG], f"a schema was changed: {_shown(text)}")

    def _definition(self, text: str) -> None:
        for table in self.effects:
            if mentions(text, table[1]):
                self._open.changes_schema = True
                self._widen(table, f"{'.'.join(table)} was redefined: {_shown(text)}")
        if not self.rules.table_tags:
            return
        if is_plain(text) and len(words(text)) <= _MOST_WORDS:
            self._open.outdated.add_texts(TABLE_TAG, words(text))
        else:
            self._open.outdated.widen([TABLE_TAG], f"a table was redefined: {_shown(text)}")


def _changes(event: rows.Rows, columns: Collection[str]) -> bool:
    """Whether rows that are referred to by some columns are gone, or may have other values there."""
    if event.kind != "update":
        return event.kind == "delete" and bool(columns)
    places = [place for place, column in enumerate(event.columns) if column in columns]
    sides = [[side[place] for place in places] for side in (event.before, event.after)]
    return sides[0] != sides[1] or any(type(value) is Undecodable for column in sides[0] for value in column)


def _shown(text: str) -> str:
    """Return the beginning of a statement, whose literals are nobody's business."""
    return " ".join(text.split()[:3])[:60]
