"""Statements: the SQL to send for a text and its parameters, and what is known of it without sending it.

The key of a cached read is made from the text as written; only `Statement.bind` puts values in, so the server
never sees a placeholder. `scanner` says where placeholders are, `binding` what is written there, `verdicts`
what the statement does.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha1
from typing import TYPE_CHECKING, TypeAlias

from mysql_redis_cache.runtime.kept import Kept

from .binding import write
from .named import NamedValues, Order, by_name, picked
from .scanner import scans
from .verdicts import Answer, answer_of, refusal_of, said, verb_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .scanner import Mode, Plan, Scan

__all__ = ["Params", "Statement", "statement"]

Params: TypeAlias = "Sequence[object] | Mapping[str, object] | None"

# Longer texts are kept by their digest, and no more of them than a few bytes for each placeholder.
_LONGEST_KEPT = 8192
_KEPT_BYTES = 8 << 20


def statement(text: str) -> Statement:
    """Return the statement with this text, of whatever length scanned once for as long as it is in use.

    Args:
        text: one SQL statement. Its placeholders are ``?`` and ``??`` or, if it has none of those, ``%s``,
            for a list of values; or ``:name`` or ``%(name)s``, for a mapping.

    Raises:
        TypeError: *text* is not a str.
        ValueError: it is empty or holds a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"the query must be a str, not {type(text).__name__}")
    if len(text) > _LONGEST_KEPT:
        return _long_statement(text)
    try:
        return _short[text]
    except KeyError:
        pass
    return _short.keep(text, Statement(text))


class Statement:
    """One SQL text, scanned. Made by `statement` and shared by those who use the same text.

    Attributes:
        text: the statement as the caller wrote it.
        placeholders: how many values a list for it has under the default sql_mode.
        is_plain: whether any value may stand at each, none being ``??`` or in ``/*! … */``.
        plain_placeholders: how many values a list for it has if it is plain and has no ``:name``, else -1.
    """

    def __init__(self, text: str) -> None:
        if not text.strip():
            raise ValueError("the query is empty")
        if not text.isascii():
            _check_encodable(text)
        self.text = text
        self._scans = scans(text)
        self._plan = self._scans["default"].positional
        self.placeholders = self._plan.placeholders
        self.is_plain = all(plan.is_plain for plan in self._plans)
        has_names = any(plan.form == ":" for plan in self._plans)
        self.plain_placeholders = self.placeholders if self.is_plain and not has_names else -1
        self._usual_order: Order | None = None

    def of(self, text: str) -> Statement:
        """Return the same statement with *text*, which is its text, or empty while it is kept by digest."""
        _ = self.refusal, self.answer  # which need it
        same = object.__new__(Statement)
        same.__dict__.update(self.__dict__, text=text)
        return same

    @property
    def size(self) -> int:
        """How many bytes it takes in memory, about, less its text."""
        return 2000 + sum(plan.size for plan in self._plans)

    @property
    def needs_sql_mode(self) -> bool:
        """Whether ``ANSI_QUOTES`` moves its placeholders, which takes a backslash inside double quotes."""
        ansi, default = self._scans["ansi_quotes"], self._scans["default"]
        return (ansi.positional.edges, ansi.named.edges) != (default.positional.edges, default.named.edges)

    @property
    def takes_nothing(self) -> bool:
        """Whether it has no placeholder of any form."""
        return not any(plan.placeholders for plan in self._plans)

    @cached_property
    def verb(self) -> str:
        """What it does, such as ``"SELECT"``, or ``"UPDATE"`` also behind a WITH; empty if unclear."""
        return verb_of(self.text)

    @cached_property
    def answer(self) -> Answer:
        """What it answers with: rows, or what it has done."""
        return answer_of(self.text)

    @property
    def is_read(self) -> bool:
        """Whether it only reads what any session would: it may be cached, or sent again on another one.

        CALL counts as a read, though a procedure may write: whoever caches it vouches for it.
        """
        return self.refusal is None

    @cached_property
    def refusal(self) -> str | None:
        """Why its result may not be cached, as a clause that ends in advice; None if it may be."""
        return refusal_of(self.text, self.verb)

    def check_rows(self) -> None:
        """Check that it is for ``query()``.

        Raises:
            ValueError: it gives no rows.
        """
        if self.answer is Answer.EFFECT or self.answer is Answer.TRANSACTION:
            raise ValueError(
                f"query() returns rows, and this statement has none ({said(self.text, self.verb)}); "
                f"{self.answer.advice}"
            )

    def check_effect(self) -> None:
        """Check that it is for ``execute()``.

        Raises:
            ValueError: it gives rows, and does nothing else.
        """
        if self.answer is Answer.ROWS:
            raise ValueError(
                f"execute() returns no rows, and this statement has nothing else "
                f"({said(self.text, self.verb)}); {self.answer.advice}"
            )

    def check_count(self, params: Sequence[object] | None) -> None:
        """Check the number of *params* alone, cheaply enough for every hit.

        Raises:
            TypeError: *params* is not a list or tuple.
            ValueError: the text takes another number of values in whatever sql_mode.
        """
        if _count(params) != self.placeholders or self._plan.is_malformed:
            self._fitting(params)

    def named(self, params: Params, param_names: Sequence[str] | None) -> tuple[NamedValues, Sequence[str]]:
        """Put a mapping in the order of a key: first what *param_names* picks, in the order of the text.

        Returns:
            The values, and the names of the first ones, which the key shows.

        Raises:
            TypeError: *params* is no mapping, or the text takes a list.
            ValueError: names are missing or not used.
        """
        order = self._usual_order
        if order is not None and type(params) is dict and order.suits(params, param_names):
            return NamedValues.of(params, order.names), order.shown
        plan, values = self._fitting(params)
        shown, names = picked(tuple(dict.fromkeys(plan.names)), param_names)
        self._usual_order = Order(tuple(param_names or ()), tuple(names), shown)
        return NamedValues.of(dict(zip(plan.names, values, strict=True)), names), shown

    def check(self, params: Params) -> None:
        """Check all that `bind` checks, for when the session's sql_mode is not known.

        Raises:
            TypeError: as `bind`.
            ValueError: as `bind`.
        """
        plan, values = self._fitting(params)
        write(self.text, plan, values, placed=dict)

    def bind(
        self, params: Params = None, *, no_backslash_escapes: bool = False, ansi_quotes: bool = False
    ) -> str:
        """Make the SQL to send.

        Args:
            params: a list or tuple with a value for each placeholder, or a mapping with one for each name;
                None is an empty one.
            no_backslash_escapes: whether the session's sql_mode has ``NO_BACKSLASH_ESCAPES``.
            ansi_quotes: whether it has ``ANSI_QUOTES``; makes a difference only if `needs_sql_mode`.

        Returns:
            The text with its placeholders replaced.

        Raises:
            TypeError: *params* is no list, tuple or mapping, or a value is of a type without SQL form.
            ValueError: counts or names differ, or a value would not reach the server unharmed.
                No message holds a value.
        """
        mode: Mode = "ansi_quotes" if ansi_quotes else "default"
        scan = self._scans["no_backslash_escapes" if no_backslash_escapes else mode]
        plan, values = self._arguments(scan, params)
        pieces = plan.pieces(self.text)
        pieces[1::2] = write(self.text, plan, values, no_backslash_escapes=no_backslash_escapes)
        return "".join(pieces)

    def _fitting(self, params: Params) -> tuple[Plan, Sequence[object]]:
        """Return the plan that *params* fill, in whatever sql_mode, and a value for each placeholder."""
        failures = []
        for scan in self._scans.values():
            try:
                return self._arguments(scan, params)
            except ValueError as error:
                failures.append(error)
        raise failures[0]

    def _arguments(self, scan: Scan, params: Params) -> tuple[Plan, Sequence[object]]:
        if isinstance(params, (NamedValues, Mapping)):
            return _named_arguments(scan, params)
        plan, count = scan.positional, _count(params)
        if count != plan.placeholders or plan.is_malformed or self._lacks_names(scan):
            raise _mismatch(scan, count)
        return plan, params or ()

    def _lacks_names(self, scan: Scan) -> bool:
        """Whether there is a ``:name`` for which a list has no value; one of a trigger's body is no such."""
        return scan.named.form == ":" and self.verb != "CREATE"

    @property
    def _plans(self) -> list[Plan]:
        return [plan for scan in self._scans.values() for plan in (scan.positional, scan.named)]


def _named_arguments(scan: Scan, params: Mapping[str, object] | NamedValues) -> tuple[Plan, Sequence[object]]:
    if scan.positional.placeholders:
        raise TypeError(
            f"params must be a list or tuple, not {type(params).__name__}, for a query with ? or %s; "
            "a mapping is for one with :name alone (or %(name)s)"
        )
    if scan.is_mixed:
        raise ValueError("the query has :name and %(name)s in it; write all its placeholders in one form")
    values = by_name(params, scan.named.names)
    return scan.named, [values[name] for name in scan.named.names]


def _count(params: object) -> int:
    if params is None:
        return 0
    if not isinstance(params, (list, tuple)):
        raise TypeError(
            f"params must be a list or tuple, not {type(params).__name__}; a single value goes as [value]"
        )
    return len(params)


def _mismatch(scan: Scan, count: int) -> ValueError:
    if scan.positional.is_malformed:
        return ValueError("the query has ??? in it: a placeholder is ? for a value or ?? for an identifier")
    if scan.named.placeholders:
        first = scan.named.names[0]
        written = f":{first}" if scan.named.form == ":" else f"%({first})s"
        return ValueError(
            f"the query has {written}, which takes its value from a mapping, as {{{first!r}: …}}"
        )
    counts = f"the placeholders of the query ({scan.positional.placeholders}) and the params ({count})"
    advice = "a ? or %s in quotes or a comment is text, and a list is one param"
    return ValueError(f"{counts} differ in number; {advice}")


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the query holds a lone surrogate at {error.start}, which UTF-8 cannot carry"
        ) from None


# --- statements in use -------------------------------------------------------------------------------------

_short = Kept[str, Statement](_KEPT_BYTES, lambda text, made: sys.getsizeof(text) + made.size)
_long = Kept[bytes, Statement](_KEPT_BYTES, lambda _, made: made.size)


def _long_statement(text: str) -> Statement:
    digest = sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
    try:
        return _long[digest].of(text)
    except KeyError:
        pass
    made = Statement(text)
    _long.keep(digest, made.of(""))
    return made
