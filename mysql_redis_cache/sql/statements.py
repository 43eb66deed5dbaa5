"""Statements: the SQL to send for a text and its parameters, and whether its result may be cached.

The key of a cached read is made from the text as written; only `Statement.bind` puts values in, so the server
never sees a placeholder. `scanner` says where placeholders are, `literals` how values are written.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from itertools import dropwhile
from typing import TYPE_CHECKING

from .literals import Unsendable, assignments, identifier, literal
from .scanner import in_assignments, plans, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .scanner import Mode, Plan, Slot

__all__ = ["Statement", "statement"]

# Longer texts are scanned anew each time: they are mostly generated, and would push out those that recur.
_LONGEST_CACHED = 20_000
_CACHED_STATEMENTS = 512


def statement(text: str) -> Statement:
    """The statement with this text, scanned once for as long as it is in use.

    Args:
        text: one SQL statement with ``?`` and ``??`` placeholders or, if it has none of those, with ``%s``.

    Raises:
        TypeError: *text* is not a str.
        ValueError: it is empty or holds a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"the query must be a str, not {type(text).__name__}")
    return Statement(text) if len(text) > _LONGEST_CACHED else _cached_statement(text)


class Statement:
    """One SQL text, scanned. Made by `statement` and shared by those who use the same text.

    Attributes:
        text: the statement as the caller wrote it.
        placeholders: how many values it takes under the default sql_mode.
        has_identifiers: whether ``??`` occurs in it, so that some of the values may be names.
    """

    def __init__(self, text: str) -> None:
        if not text.strip():
            raise ValueError("the query is empty")
        if not text.isascii():
            _check_encodable(text)
        self.text = text
        self._plans = plans(text)
        self._plan = self._plans["default"]
        self.placeholders = len(self._plan.slots)
        self.has_identifiers = "??" in text

    @property
    def needs_sql_mode(self) -> bool:
        """Whether ``ANSI_QUOTES`` moves its placeholders, which takes a backslash inside double quotes."""
        return self._plans["ansi_quotes"].slots != self._plan.slots

    @cached_property
    def verb(self) -> str:
        """What it does, such as ``"SELECT"``, or ``"UPDATE"`` also behind a WITH; empty if unclear."""
        verb = _main_verb(_words(self.text))
        return verb if verb.isidentifier() else ""

    @property
    def is_read(self) -> bool:
        """Whether it only reads what any session would: it may be cached, or sent again on another one.

        CALL counts as a read, though a procedure may write: whoever caches it vouches for it.
        """
        return self.refusal is None

    @cached_property
    def refusal(self) -> str | None:
        """Why its result may not be cached, as a clause that ends in advice; None if it may be.

        A guard against mistakes, not a security boundary: it does not know what procedures and stored
        functions do, and it lets ``NOW()``, ``RAND()`` and ``UUID()`` pass, whose answers callers may want to
        keep.
        """
        if self.verb not in _READS:
            return f"it is not a read ({_beginning(self.text, self.verb)}); use execute()"
        if _SUSPECTS.isdisjoint(_NAMES.findall(self.text.upper())):
            return None
        code = " ".join(_words(self.text))
        return next((reason for pattern, reason in _REFUSALS if re.search(pattern, code)), None)

    def check_count(self, params: Sequence[object] | None) -> None:
        """Check the number of *params* alone, cheaply enough for every hit.

        Raises:
            TypeError: *params* is not a list or tuple.
            ValueError: the text takes another number of values in whatever sql_mode.
        """
        if _count(params) != self.placeholders or self._plan.is_malformed:
            self._fitting_plan(params)

    def check(self, params: Sequence[object] | None) -> None:
        """Check all that `bind` checks, for when the session's sql_mode is not known.

        Raises:
            TypeError: as `bind`.
            ValueError: as `bind`.
        """
        self._fill(self._fitting_plan(params), params or (), no_backslash_escapes=False)

    def bind(
        self,
        params: Sequence[object] | None = None,
        *,
        no_backslash_escapes: bool = False,
        ansi_quotes: bool = False,
    ) -> str:
        """Make the SQL to send.

        Args:
            params: a list or tuple with a value for each placeholder; None is an empty one.
            no_backslash_escapes: whether the session's sql_mode has ``NO_BACKSLASH_ESCAPES``.
            ansi_quotes: whether it has ``ANSI_QUOTES``; makes a difference only if `needs_sql_mode`.

        Returns:
            The text with its placeholders replaced.

        Raises:
            TypeError: *params* is not a list or tuple, or a value is of a type without SQL form.
            ValueError: the counts differ, or a value would not reach the server unharmed.
                No message holds a value.
        """
        plan = self._plan
        if no_backslash_escapes:
            plan = self._plans["no_backslash_escapes"]
        elif ansi_quotes:
            plan = self._plans["ansi_quotes"]
        count = _count(params)
        if count != len(plan.slots) or plan.is_malformed:
            raise _mismatch(plan, count)
        return self._fill(plan, params or (), no_backslash_escapes)

    def _fitting_plan(self, params: Sequence[object] | None) -> Plan:
        count = _count(params)
        for plan in self._plans.values():
            if len(plan.slots) == count and not plan.is_malformed:
                return plan
        raise _mismatch(self._plan, count)

    def _fill(self, plan: Plan, params: Sequence[object], no_backslash_escapes: bool) -> str:
        pieces = list(plan.pieces)
        try:
            if plan.is_plain:
                pieces[1::2] = [literal(value, no_backslash_escapes) for value in params]
                return "".join(pieces)
        except Unsendable:
            pass  # a dict, which the careful way below may take, or an error, which it can locate
        pieces[1::2] = self._write_each(plan, params, no_backslash_escapes)
        return "".join(pieces)

    def _write_each(self, plan: Plan, params: Sequence[object], no_backslash_escapes: bool) -> Iterator[str]:
        for index, (slot, value) in enumerate(zip(plan.slots, params, strict=True)):
            try:
                yield self._write(slot, value, plan.mode, no_backslash_escapes)
            except Unsendable as fault:
                raise fault.error(f"params[{index}]") from None

    def _write(self, slot: Slot, value: object, mode: Mode, no_backslash_escapes: bool) -> str:
        if slot.is_identifier:
            sql = identifier(value)
        elif isinstance(value, dict) and in_assignments(self.text, slot.start, mode):
            sql = assignments(value, no_backslash_escapes)
        else:
            sql = literal(value, no_backslash_escapes)
        # A server too old for the comment's number skips it, and sees no quotes in it, only where it ends.
        if slot.is_guarded and ("*/" in sql or "/*" in sql):
            raise Unsendable(
                "holds /* or */, and its placeholder is inside /*! */ or /*+ */: move it out", ValueError
            )
        return sql


@lru_cache(maxsize=_CACHED_STATEMENTS)
def _cached_statement(text: str) -> Statement:
    return Statement(text)


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the query holds a lone surrogate at {error.start}, which UTF-8 cannot carry"
        ) from None


def _count(params: Sequence[object] | None) -> int:
    if params is None:
        return 0
    if not isinstance(params, (list, tuple)):
        raise TypeError(
            f"params must be a list or tuple, not {type(params).__name__}; a single value goes as [value]"
        )
    return len(params)


def _mismatch(plan: Plan, count: int) -> ValueError:
    if plan.is_malformed:
        return ValueError("the query has ??? in it: a placeholder is ? for a value or ?? for an identifier")
    return ValueError(
        f"the placeholders of the query ({len(plan.slots)}) and the params ({count}) differ in number; "
        "a ? or %s in quotes or a comment is text, and a list is one param"
    )


_READS = frozenset(["SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "TABLE", "VALUES", "CALL"])
_VERBS = frozenset(["SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "TABLE", "VALUES"])

# Functions and variables that answer for one session, and a pooled connection is any session.
_SESSION_FUNCTIONS = (
    "GET_LOCK|RELEASE_LOCK|RELEASE_ALL_LOCKS|IS_FREE_LOCK|IS_USED_LOCK|NEXTVAL|LASTVAL|SETVAL|LAST_INSERT_ID"
    "|FOUND_ROWS|ROW_COUNT|CONNECTION_ID|PS_CURRENT_THREAD_ID|USER|SESSION_USER|SYSTEM_USER"
)
_SESSION_VARIABLES = "IDENTITY|INSERT_ID|LAST_INSERT_ID|WARNING_COUNT|ERROR_COUNT|PSEUDO_THREAD_ID"
_OF_ONE_SESSION = "whose answer is another in each session; use query()"

# Without one of these in the text no refusal is possible, and the text need not be taken apart.
_SUSPECTS = frozenset(
    [";", "@", "FOR", "LOCK", "INTO", "SHOW", "CURRENT_USER", "CURRENT_ROLE", *_SESSION_FUNCTIONS.split("|")]
)
_NAMES = re.compile(r"[A-Z_]+|[;@]")

# Searched for in the words of a statement with one space between them.
_REFUSALS = (
    (r"; [^;]", "it holds several statements; send them one by one"),
    (r"\bFOR (?:UPDATE|SHARE)\b|\bLOCK IN SHARE MODE\b", "it locks rows; use query() inside transaction()"),
    (r"\bINTO\b", "it writes what it selects (INTO); use execute()"),
    (rf"\b(?:{_SESSION_FUNCTIONS}) \(", f"it calls a function {_OF_ONE_SESSION}"),
    (r"\bCURRENT_(?:USER|ROLE)\b", f"it asks for the account, {_OF_ONE_SESSION}"),
    (r"\b(?:NEXT|PREVIOUS) VALUE FOR\b", f"it draws from a sequence, {_OF_ONE_SESSION}"),
    (rf"@@(?:SESSION\.|LOCAL\.)?(?:{_SESSION_VARIABLES})\b", f"it reads a variable {_OF_ONE_SESSION}"),
    (r"^(?!SHOW ).*(?<!\S)@(?!@)", f"it uses a user variable (@name), {_OF_ONE_SESSION}"),
    (r"^SHOW (?:WARNINGS|ERRORS|COUNT|PROFILES?)\b", f"it shows diagnostics, {_OF_ONE_SESSION}"),
)


def _words(text: str) -> Iterator[str]:
    return dropwhile("(".__eq__, (word for _, word in tokens(text)))


def _main_verb(words: Iterator[str]) -> str:
    first = next(words, "")
    if first in {"EXPLAIN", "DESCRIBE", "DESC"}:
        return first if next(words, "") != "ANALYZE" else _verb_behind(words) or first
    return first if first != "WITH" else _verb_behind(words) or first


def _verb_behind(words: Iterator[str]) -> str | None:
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in _VERBS:
            return word
    return None


def _beginning(text: str, verb: str) -> str:
    if not verb:
        return "it begins with no verb"
    return f"it begins with {verb}" if verb == next(_words(text)) else f"its verb is {verb}"
