"""What the server's schema says of the tables that have rules, and of those that they hang on."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from mysql_redis_cache.binlog import Declared

from .effects import ForeignKey, effects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .effects import Effect
    from .rules import Rules, TableName
    from .source import Source

__all__ = ["Schema", "effects_now"]

_ACTIONS = "('CASCADE', 'SET NULL', 'SET DEFAULT')"


class Schema:
    """A server's schema as it is when this is made. Plain queries, a table at a time.

    Args:
        source: the server.
        tables: those that have rules.

    Attributes:
        declared: their columns, in order; nothing of a table that there is not.
        collations: by table and column, of columns that have one.
        foreign_keys: those by which the engine changes children without a word in the log.
        views: those of the tables that are views, whose changes stand in no log.
        hidden: tables that others hang on and that the account must not see.
    """

    def __init__(self, source: Source, tables: Iterable[TableName]) -> None:
        self._source = source
        self.declared: dict[TableName, tuple[Declared, ...]] = {}
        self.collations: dict[tuple[TableName, str], str] = {}
        self.views: list[TableName] = []
        for table in tables:
            self.describe(table)
            self._look_for_view(table)
        is_logged = source.variables.get("innodb_native_foreign_keys", "ON").upper() in {"OFF", "0"}
        self.foreign_keys: list[ForeignKey] = [] if is_logged else self._keys()
        seen = {(row["s"].lower(), row["t"].lower()) for row in self._seen()} if self.foreign_keys else set()
        parents = {key.parent for key in self.foreign_keys}
        self.hidden = sorted({name for name in parents if (name[0].lower(), name[1].lower()) not in seen})

    def describe(self, table: TableName) -> None:
        """Read the columns of a table."""
        rows = self._source.ask(
            # Names stand in it as hexadecimal literals.
            "SELECT column_name AS name, column_type AS type, character_set_name AS charset, "  # noqa: S608
            "collation_name AS collation FROM information_schema.columns "
            f"WHERE table_schema = {_literal(table[0])} AND table_name = {_literal(table[1])} "
            "ORDER BY ordinal_position"
        )
        if rows:
            self.declared[table] = tuple(
                [Declared(row["name"], str(row["type"]), row["charset"]) for row in rows]
            )
        for row in rows:
            if row["collation"]:
                self.collations[table, row["name"]] = row["collation"]

    def _look_for_view(self, table: TableName) -> None:
        rows = self._source.ask(
            # Names stand in it as hexadecimal literals.
            "SELECT table_type AS type FROM information_schema.tables "  # noqa: S608
            f"WHERE table_schema = {_literal(table[0])} AND table_name = {_literal(table[1])}"
        )
        if any("VIEW" in row["type"].upper() for row in rows):
            self.views.append(table)

    def _keys(self) -> list[ForeignKey]:
        constraints = self._source.ask(
            "SELECT constraint_schema AS s, table_name AS t, constraint_name AS name, "  # noqa: S608
            "unique_constraint_schema AS parent_schema, referenced_table_name AS parent "
            "FROM information_schema.referential_constraints "
            f"WHERE delete_rule IN {_ACTIONS} OR update_rule IN {_ACTIONS}"
        )
        if not constraints:
            return []
        columns: defaultdict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
        for row in self._source.ask(
            "SELECT constraint_schema AS s, table_name AS t, constraint_name AS name, column_name AS child, "
            "referenced_column_name AS parent FROM information_schema.key_column_usage "
            "WHERE referenced_column_name IS NOT NULL ORDER BY ordinal_position"
        ):
            columns[row["s"], row["t"], row["name"]].append((row["child"], row["parent"]))
        return [
            ForeignKey(
                (row["s"], row["t"]),
                (row["parent_schema"], row["parent"]),
                tuple(columns[row["s"], row["t"], row["name"]]),
            )
            for row in constraints
        ]

    def _seen(self) -> list[dict[str, str]]:
        return self._source.ask("SELECT table_schema AS s, table_name AS t FROM information_schema.tables")

    def names_like(self, table: TableName) -> list[str]:
        """Return the tables whose name differs from that of one in letters' case alone."""
        rows = self._source.ask(
            # Names stand in it as hexadecimal literals.
            "SELECT table_schema AS s, table_name AS t FROM information_schema.tables "  # noqa: S608
            f"WHERE LOWER(table_schema) = LOWER({_literal(table[0])}) "
            f"AND LOWER(table_name) = LOWER({_literal(table[1])})"
        )
        return [f"{row['s']}.{row['t']}" for row in rows]


def effects_now(
    rules: Rules, source: Source
) -> tuple[dict[TableName, Effect], dict[TableName, tuple[Declared, ...]]]:
    """Return what a change of each table comes to by a server's schema, and the columns of these tables."""
    schema = Schema(source, rules.tables)
    found = effects(rules, schema.foreign_keys, schema.declared)
    for table in found.keys() - schema.declared.keys():
        schema.describe(table)
    return found, schema.declared


def _literal(text: str) -> str:
    """Write a text in a way that holds whatever the session's sql_mode."""
    return f"_utf8mb4 X'{text.encode().hex()}'"
