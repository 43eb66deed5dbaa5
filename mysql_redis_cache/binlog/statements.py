"""Events that hold statements as text, and what goes before them."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from .charsets import shown
from .compressed import inflate
from .cursor import Malformed
from .events import Event
from .variables import parse_variables

if TYPE_CHECKING:
    from .cursor import Cursor
    from .events import Header
    from .variables import StatusVariables

__all__ = [
    "AnnotateRows",
    "AppendBlock",
    "BeginLoadQuery",
    "DeleteFile",
    "ExecuteLoadQuery",
    "IntVar",
    "Query",
    "Rand",
    "RowsQuery",
    "UserVar",
    "parse_annotate_rows",
    "parse_append_block",
    "parse_begin_load",
    "parse_compressed_query",
    "parse_delete_file",
    "parse_execute_load",
    "parse_intvar",
    "parse_query",
    "parse_rand",
    "parse_rows_query",
    "parse_user_var",
]

_QUERY = Struct("<IIBHH")
_LOAD = Struct("<IIIB")
_USER_VAR = Struct("<BII")


@dataclass(frozen=True, slots=True)
class Query(Event):
    """A statement as text: BEGIN, COMMIT, DDL, or a write in place of its rows.

    Attributes:
        thread_id: of the connection.
        duration: in whole seconds.
        database: the session's default database; ``""`` for none.
        error_code: of the error with which it ended, having changed something all the same; 0 for none.
        variables: of the session.
        statement: the text, in the character set that the variables name.
    """

    thread_id: int
    duration: int
    database: str
    error_code: int
    variables: StatusVariables
    statement: bytes = field(repr=False)

    @property
    def text(self) -> str:
        r"""The statement as str, bytes that do not decode written as ``\xff``."""
        return shown(self.statement, self.variables.charset)


@dataclass(frozen=True, slots=True)
class ExecuteLoadQuery(Query):
    """LOAD DATA as a statement; its data came before.

    Attributes:
        file_id: of the ``BeginLoadQuery``.
        file_name: where in the statement the name of the file begins and ends.
        duplicates: 0 is an error, 1 IGNORE, 2 REPLACE.
    """

    file_id: int
    file_name: tuple[int, int]
    duplicates: int


@dataclass(frozen=True, slots=True)
class BeginLoadQuery(Event):
    """The first block of the data of a LOAD DATA."""

    file_id: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppendBlock(Event):
    """The next block of the data of a LOAD DATA."""

    file_id: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteFile(Event):
    """A LOAD DATA came to nothing."""

    file_id: int


@dataclass(frozen=True, slots=True)
class IntVar(Event):
    """For the next statement: 1 is ``LAST_INSERT_ID()``, 2 the next value of AUTO_INCREMENT."""

    kind: int
    value: int


@dataclass(frozen=True, slots=True)
class Rand(Event):
    """For the next statement: the seeds of ``RAND()``."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class UserVar(Event):
    """For the next statement: ``@name``; *value* as the log holds it, ``None`` for NULL."""

    name: str
    value: bytes | None = field(repr=False)
    kind: int = 0
    collation: int = 63


@dataclass(frozen=True, slots=True)
class RowsQuery(Event):
    """The statement whose rows follow, if ``binlog_rows_query_log_events`` is on. MySQL."""

    statement: bytes = field(repr=False)

    @property
    def text(self) -> str:
        r"""The statement as str, read as UTF-8, bytes that do not decode written as ``\xff``."""
        return self.statement.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class AnnotateRows(RowsQuery):
    """The statement whose rows follow. MariaDB."""


# --- parsing -----------------------------------------------------------------------------------------------


def parse_query(header: Header, body: Cursor) -> Query:
    """Parse a QUERY_EVENT.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html
    """
    fields, _ = _query(body, 0)
    return Query(header, *fields, body.rest())


def parse_compressed_query(header: Header, body: Cursor) -> Query:
    """Parse MariaDB's QUERY_COMPRESSED_EVENT."""
    fields, _ = _query(body, 0)
    return Query(header, *fields, inflate(body.rest()))


def parse_execute_load(header: Header, body: Cursor) -> ExecuteLoadQuery:
    """Parse an EXECUTE_LOAD_QUERY_EVENT: a QUERY_EVENT with a longer post-header."""
    fields, more = _query(body, _LOAD.size)
    file_id, first, last, duplicates = _LOAD.unpack(more)
    return ExecuteLoadQuery(header, *fields, body.rest(), file_id, (first, last), duplicates)


def _query(body: Cursor, more: int) -> tuple[tuple[int, int, str, int, StatusVariables], bytes]:
    thread_id, duration, database_size, error_code, variables_size = body.unpack(_QUERY)
    post_header = body.take(more)
    variables = parse_variables(body.take(variables_size))
    database = body.take(database_size).decode("utf-8", "surrogateescape")
    if body.uint(1):
        raise Malformed("the name of a database without its closing NUL")
    return (thread_id, duration, database, error_code, variables), post_header


def parse_begin_load(header: Header, body: Cursor) -> BeginLoadQuery:
    """Parse a BEGIN_LOAD_QUERY_EVENT."""
    return BeginLoadQuery(header, body.uint(4), body.rest())


def parse_append_block(header: Header, body: Cursor) -> AppendBlock:
    """Parse an APPEND_BLOCK_EVENT."""
    return AppendBlock(header, body.uint(4), body.rest())


def parse_delete_file(header: Header, body: Cursor) -> DeleteFile:
    """Parse a DELETE_FILE_EVENT."""
    return DeleteFile(header, body.uint(4))


def parse_intvar(header: Header, body: Cursor) -> IntVar:
    """Parse an INTVAR_EVENT."""
    return IntVar(header, body.uint(1), body.uint(8))


def parse_rand(header: Header, body: Cursor) -> Rand:
    """Parse a RAND_EVENT."""
    return Rand(header, body.uint(8), body.uint(8))


def parse_user_var(header: Header, body: Cursor) -> UserVar:
    """Parse a USER_VAR_EVENT."""
    name = body.take(body.uint(4)).decode("utf-8", "surrogateescape")
    if body.uint(1):
        return UserVar(header, name, None)
    kind, collation, size = body.unpack(_USER_VAR)
    return UserVar(header, name, body.take(size), kind, collation)


def parse_rows_query(header: Header, body: Cursor) -> RowsQuery:
    """Parse a ROWS_QUERY_LOG_EVENT; it begins with a byte of length, which longer texts do not fit."""
    body.skip(1)
    return RowsQuery(header, body.rest())


def parse_annotate_rows(header: Header, body: Cursor) -> AnnotateRows:
    """Parse MariaDB's ANNOTATE_ROWS_EVENT."""
    return AnnotateRows(header, body.rest())
