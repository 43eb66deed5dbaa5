"""Rules held against the servers: what would go wrong in silence, and what is to be known."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mysql_redis_cache.errors import MRCError

if TYPE_CHECKING:
    from datetime import tzinfo

    from mysql_redis_cache.binlog import Declared

    from .rules import Rules, TableName
    from .schema import Schema
    from .source import Source

__all__ = ["CannotFollow", "Report", "examine", "zone_of"]

_NO_TEXT = frozenset(
    [
        *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
        *("geometrycollection", "geomcollection", "vector", "json"),
    ]
)
_BLUNT = ("_ci", "_ai")


class CannotFollow(MRCError):
    """The rules and the server are such that outdated entries would stay in silence.

    Attributes:
        problems: each with what to do.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("this server cannot be followed by these rules: " + "; ".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[CannotFollow], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found.

    Attributes:
        problems: why a follower will not start, each with what to do.
        notes: what is to be known: where drops are wide, or an entry is not found.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        """Whether a follower starts."""
        return not self.problems


def examine(rules: Rules, source: Source, schema: Schema) -> Report:
    """Hold rules against a server."""
    report = Report()
    _examine_log(report, rules, source, schema)
    for table, rule in rules.tables.items():
        declared = schema.declared.get(table)
        if declared is None:
            report.problems.append(_missing_table(table, schema))
            continue
        for column in rule.columns:
            _examine_column(report, table, column, declared, schema)
    for table in schema.views:
        report.problems.append(
            f"{'.'.join(table)} is a view, whose changes are in no log: give the tables below it rules"
        )
    for schema_name, table_name in schema.hidden:
        report.problems.append(
            f"{schema_name}.{table_name} is referred to by foreign keys, and the account must not see it: "
            f"GRANT SELECT ON {schema_name}.{table_name}"
        )
    if zone_of(source) is None and any(each.word == "timestamp" for each in _used(rules, schema)):
        report.problems.append(
            "a rule has a TIMESTAMP column and the server's time zone is SYSTEM, which has no name here: "
            "set default_time_zone (MySQL: default-time-zone='+00:00') to the one that readers have"
        )
    return report


def _examine_log(report: Report, rules: Rules, source: Source, schema: Schema) -> None:
    variables = source.variables
    if variables.get("log_bin", "").upper() not in {"ON", "1"}:
        report.problems.append("log_bin is off: set log_bin (MariaDB: log-bin=mariadb-bin) and restart it")
        return
    if variables.get("binlog_format", "ROW").upper() != "ROW":
        report.problems.append(f"binlog_format is {variables['binlog_format']}: set binlog_format=ROW")
    if not source.is_mariadb and variables.get("gtid_mode", "").upper() != "ON":
        report.problems.append("gtid_mode is not ON: set gtid_mode=ON and enforce_gtid_consistency=ON")
    if variables.get("binlog_row_image", "FULL").upper() == "MINIMAL" and any(_columns(rules)):
        report.problems.append(
            "binlog_row_image is MINIMAL, so that rows come without the columns of rules: set "
            "binlog_row_image=FULL"
        )
    _examine_what_is_logged(report, rules, source)
    if variables.get("binlog_row_metadata", "FULL").upper() != "FULL" and rules.tables:
        report.notes.append(
            f"binlog_row_metadata is {variables['binlog_row_metadata']}: the names of columns are taken from "
            "the schema where they fit; with binlog_row_metadata=FULL the log has them itself"
        )
    if source.loses_commits:
        report.notes.append(
            "innodb_flush_log_at_trx_commit and sync_binlog are not both 1: after a crash of the server all "
            "names are dropped"
        )
    children = sorted({".".join(key.child) for key in schema.foreign_keys if key.child in rules.tables})
    if children:
        report.notes.append(
            f"{', '.join(children)} change by foreign keys, which is in no log: told from the parents' "
            "rows where the rule's column is the key, else dropped by name"
        )


def _examine_what_is_logged(report: Report, rules: Rules, source: Source) -> None:
    logged, left_out = source.filters()
    for schema in sorted({schema for schema, _ in rules.tables}):
        if schema in left_out or (logged and schema not in logged):
            report.problems.append(
                f"changes of {schema} are in no log, by binlog_do_db or binlog_ignore_db: have it logged"
            )
    if source.logs_what_it_replicates:
        return
    text = "what it replicates is in no log of its own: set log_slave_updates=ON"
    if not source.takes_writes:
        report.problems.append(f"the server is read_only, and log_slave_updates is off, so that {text}")
    elif source.variables.get("gtid_slave_pos"):
        report.notes.append(f"the server was a replica, and log_slave_updates is off; if it is one, {text}")


def _columns(rules: Rules) -> list[tuple[str, ...]]:
    return [rule.columns for rule in rules.tables.values()]


def _missing_table(table: TableName, schema: Schema) -> str:
    similar = [name for name in schema.names_like(table) if name != ".".join(table)]
    if similar:
        return f"there is no table {'.'.join(table)}; it is called {similar[0]}"
    return f"there is no table {'.'.join(table)}, or the account must not see it: GRANT SELECT on it"


def _examine_column(
    report: Report, table: TableName, column: str, declared: tuple[Declared, ...], schema: Schema
) -> None:
    name = f"{'.'.join(table)}.{column}"
    found = next((each for each in declared if each.name == column), None)
    if found is None:
        near = difflib.get_close_matches(column.lower(), [each.name.lower() for each in declared], n=1)
        spelled = next((each.name for each in declared if near and each.name.lower() == near[0]), None)
        report.problems.append(
            f"there is no column {name}" + (f"; did you mean {spelled}?" if spelled else "")
        )
    elif found.word in _NO_TEXT:
        report.problems.append(f"{name} is {found.word}, which no key holds: drop by name instead")
    elif schema.collations.get((table, column), "").endswith(_BLUNT):
        report.notes.append(
            f"{name} has the collation {schema.collations[table, column]}: 'Ann' and 'ann' are one to MySQL "
            "and two to the cache, so pass values to reads as the column has them"
        )


def _used(rules: Rules, schema: Schema) -> list[Declared]:
    return [
        each
        for table, rule in rules.tables.items()
        for each in schema.declared.get(table, ())
        if each.name in rule.columns
    ]


def zone_of(source: Source) -> tzinfo | None:
    """Return the time zone in which sessions are told TIMESTAMPs; ``None`` if it has no name here."""
    name = source.variables.get("time_zone", "SYSTEM")
    if name == "SYSTEM":
        name = source.variables.get("system_time_zone", "")
    if name in {"UTC", "GMT", "Etc/UTC"}:
        return UTC
    if name[:1] in {"+", "-"}:
        hours, _, minutes = name[1:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if name[0] == "-" else offset)
    if "/" not in name:  # an abbreviation, which says nothing of summer
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None
