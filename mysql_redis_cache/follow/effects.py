"""What a change of each table comes to, by the rules and by the foreign keys that no log tells of.

Where the engine itself changes children (ON DELETE or ON UPDATE: CASCADE, SET NULL), those changes are in no
log: MariaDB's, and MySQL's with ``innodb_native_foreign_keys`` or before 9.6. They are derived from the
parent's row where a rule's column is the key itself, so that its values are known; else the child's names are
dropped.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .rules import Combination, TableRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mysql_redis_cache.binlog import Declared

    from .rules import Rules, TableName

__all__ = ["Effect", "ForeignKey", "effects"]

_SAME_TEXT = frozenset(["tinyint", "smallint", "mediumint", "int", "bigint", "uuid", "date", "year"])
"""Types of which a child's value has its parent's text; a string under ``_ci`` has not: 'Ann' is 'ann'."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A child whose rows change with a parent's.

    Attributes:
        child: its schema and table.
        parent: the parent's.
        columns: pairs of the child's column and the parent's.
    """

    child: TableName
    parent: TableName
    columns: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Effect:
    """What a change of a table's rows comes to.

    Attributes:
        rule: what every change makes outdated.
        keys: the columns that children refer to; unless they change, an update leaves children alone.
        children: what a change of those does besides, by columns of this table.
        names: what it drops besides, whole.
        tags: tables that it may change, this one left out.
    """

    rule: TableRule = field(default_factory=TableRule)
    keys: set[str] = field(default_factory=set)
    children: list[Combination] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns whose values it takes, each once."""
        return tuple(dict.fromkeys([*self.rule.columns, *sorted(self.keys)]))

    @property
    def all_names(self) -> frozenset[str]:
        """All names concerned, if nothing can be told of a change."""
        return self.rule.names.union(self.names, *[each.names for each in self.children])


def effects(
    rules: Rules, foreign_keys: Iterable[ForeignKey], declared: Mapping[TableName, tuple[Declared, ...]]
) -> dict[TableName, Effect]:
    """Work out what a change of each table comes to.

    Args:
        rules: the rules.
        foreign_keys: those by which children change in silence.
        declared: the columns of the tables that have rules.

    Returns:
        By table; a table that is not in it has no effect, but for its own tag.
    """
    found = {table: Effect(rule) for table, rule in rules.tables.items()}
    below: defaultdict[TableName, list[ForeignKey]] = defaultdict(list)
    for key in foreign_keys:
        below[key.parent].append(key)
    for parent in list(below):
        effect = found.get(parent) or Effect()
        _add_children(effect, parent, below, rules, declared)
        if effect.all_names or effect.tags:
            found[parent] = effect
    return found


def _add_children(
    effect: Effect,
    parent: TableName,
    below: Mapping[TableName, list[ForeignKey]],
    rules: Rules,
    declared: Mapping[TableName, tuple[Declared, ...]],
) -> None:
    """Add what a parent's change does to all that hang on it, however far below."""
    direct = below[parent]
    deeper = _reached([key.child for key in direct], below)
    for key in direct:
        rule = rules.tables.get(key.child)
        if rule is not None and key.child not in deeper:
            _add_child(effect, key, rule, declared.get(key.child, ()))
    for table in deeper & rules.tables.keys():
        effect.names |= rules.tables[table].names
    effect.keys |= {column for key in direct for _, column in key.columns}
    if rules.table_tags:
        effect.tags |= {table for _, table in deeper.union([key.child for key in direct])} - {parent[1]}


def _reached(start: Iterable[TableName], below: Mapping[TableName, list[ForeignKey]]) -> set[TableName]:
    """Return all tables below some others."""
    reached: set[TableName] = set()
    left = list(start)
    while left:
        children = {key.child for key in below.get(left.pop(), ())} - reached
        reached |= children
        left.extend(children)
    return reached


def _add_child(effect: Effect, key: ForeignKey, rule: TableRule, declared: tuple[Declared, ...]) -> None:
    parents = dict(key.columns)
    exact = {each.name for each in declared if each.name in parents and each.word in _SAME_TEXT}
    effect.names |= rule.drop
    for combination in rule.combinations:
        known = [
            (name, parents[column])
            for name, column in zip(combination.names, combination.columns, strict=True)
            if column in exact
        ]
        if known:  # of a combination any part will do, if more entries may go
            names, columns = zip(*known, strict=True)
            effect.children.append(Combination(names, columns))
        else:
            effect.names |= set(combination.names)
