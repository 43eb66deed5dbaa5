"""What a change of a table makes outdated: the rules, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mysql_redis_cache.keys.pairs import checked_names

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TABLE_TAG", "Combination", "Rules", "TableName", "TableRule", "parse_rules"]

TABLE_TAG = "Table"
"""The name under which ``table_tags`` drops tables."""

_DROP, _TABLE_TAGS = "drop", "table_tags"

TableName = tuple[str, str]
"""Schema and table, as the server spells them."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Names of one key, and the columns that their values come from, in the same order; often one of each."""

    names: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRule:
    """What a change of one table makes outdated.

    Attributes:
        combinations: the entries that carry one of these, with the values that the row had or has.
        drop: the entries that carry one of these names, whatever the value.
    """

    combinations: tuple[Combination, ...] = ()
    drop: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule needs, each once."""
        return tuple(dict.fromkeys([column for each in self.combinations for column in each.columns]))

    @property
    def names(self) -> frozenset[str]:
        """All names that the rule is about."""
        return self.drop.union(*[each.names for each in self.combinations])


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a follower.

    Attributes:
        tables: by schema and table.
        table_tags: whether a change of any table *t* drops the entries that carry ``Table=t``.
    """

    tables: Mapping[TableName, TableRule]
    table_tags: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All names that any rule is about: what is dropped if nothing can be told."""
        tag = frozenset([TABLE_TAG] if self.table_tags else [])
        return tag.union(*[rule.names for rule in self.tables.values()])


def parse_rules(mapping: Mapping[str, object]) -> Rules:
    """Read rules.

    Args:
        mapping: as a table of TOML gives it. ``"schema.table"`` has a mapping of one or several names
            (``"UserId"``, ``"UserId StoreId"``) to as many columns, and ``drop``, a list of names;
            ``table_tags`` is true or false.

    Returns:
        The rules.

    Raises:
        TypeError, ValueError: they are none; the message names the place.
    """
    if not isinstance(mapping, Mapping):
        raise TypeError(f"rules must be a mapping, not {type(mapping).__name__}")
    table_tags = mapping.get(_TABLE_TAGS, False)
    if not isinstance(table_tags, bool):
        raise TypeError(f"rules: {_TABLE_TAGS} must be true or false, not {type(table_tags).__name__}")
    tables: dict[TableName, TableRule] = {}
    for name, rule in _tables({key: value for key, value in mapping.items() if key != _TABLE_TAGS}):
        if name in tables:
            raise ValueError(f"rules: {'.'.join(name)} is there twice")
        tables[name] = _rule(".".join(name), rule)
    if not tables and not table_tags:
        raise ValueError("rules: there are none; give a table its columns, or table_tags = true")
    return Rules(MappingProxyType(tables), table_tags)


def _tables(mapping: Mapping[str, object]) -> Iterator[tuple[TableName, Mapping[str, object]]]:
    for key, value in mapping.items():
        if not isinstance(value, Mapping):
            raise TypeError(f"rules: {key} must be a table of rules, not {type(value).__name__}")
        schema, dot, table = key.partition(".")
        if dot and schema and table:
            yield (schema, table), value
        elif dot or not all(isinstance(inner, Mapping) for inner in value.values()):
            raise ValueError(f'rules: {key!r} names no table; write it with its schema, as in "shop.orders"')
        else:  # [follow.shop.orders] instead of [follow."shop.orders"]
            yield from [((key, table), rule) for table, rule in value.items()]


def _rule(table: str, rule: Mapping[str, object]) -> TableRule:
    combinations = [_combination(table, key, value) for key, value in rule.items() if key != _DROP]
    drop = rule.get(_DROP, [])
    if not isinstance(drop, (list, tuple)):
        raise TypeError(f"rules: drop of {table} must be a list of names, not {type(drop).__name__}")
    if not combinations and not drop:
        raise ValueError(f"rules: {table} has none; name a column, or what to drop")
    return TableRule(tuple(combinations), frozenset(_names(table, drop)))


def _combination(table: str, key: str, value: object) -> Combination:
    columns = [value] if isinstance(value, str) else value
    if not isinstance(columns, (list, tuple)) or not all(isinstance(each, str) and each for each in columns):
        raise TypeError(f"rules: {key} of {table} must be a column or a list of columns, not {value!r}")
    names = _names(table, key.split())
    if len(set(names)) != len(names):
        raise ValueError(f"rules: {key} of {table} has a name twice")
    if len(names) != len(columns):
        raise ValueError(f"rules: {key} of {table} has {len(names)} names and {len(columns)} columns")
    return Combination(tuple(names), tuple(columns))


def _names(table: str, names: list[str] | tuple[str, ...]) -> list[str]:
    try:
        return checked_names(names)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rules of {table}: {error}") from None
