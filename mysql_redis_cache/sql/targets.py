"""Which tables a statement writes, by its words.

What triggers, procedures and foreign keys write besides, no statement says. In doubt a table more is named:
whoever drops what depends on it loses a hit, and nothing else.
"""

from __future__ import annotations

import re
from itertools import chain, takewhile
from typing import TYPE_CHECKING, NamedTuple

from .scanner import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["written_tables"]

_READ = re.compile(
    r"[\s(]*(?:select|show|set|savepoint|release|rollback|commit|start|begin"
    r"|(?:explain|describe|desc)\b(?!\s+analyze\b))\b",
    re.IGNORECASE,
)
_SET_STATEMENT = re.compile(r"\s*set\s+statement\b", re.IGNORECASE)
_NAME = re.compile(r"`((?:[^`]|``)*)`|\"((?:[^\"]|\"\")*)\"|([\w$]+)")
_QUOTED = "'"
_MODIFIERS = frozenset(
    [
        *("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "QUICK", "INTO", "TABLE", "IF", "EXISTS"),
        *("ONLINE", "TEMPORARY", "WAIT", "NOWAIT", "ONLY", "LATERAL"),
    ]
)
_SUBQUERIES = frozenset(["SELECT", "WITH", "VALUES"])
_JOINS = frozenset(["JOIN", "STRAIGHT_JOIN"])
# What may follow a table's name and is no alias.
_BEHIND = frozenset(
    [
        *(
            "SET",
            "WHERE",
            "ON",
            "JOIN",
            "INNER",
            "LEFT",
            "RIGHT",
            "CROSS",
            "OUTER",
            "NATURAL",
            "STRAIGHT_JOIN",
        ),
        *("USING", "USE", "FORCE", "IGNORE", "PARTITION", "ORDER", "LIMIT", "FOR", "TO", "FROM"),
        "RETURNING",
    ]
)
_AFTER_TABLES = frozenset(["SET", "WHERE", "ORDER", "LIMIT", "RETURNING", "USING"])


class _Word(NamedTuple):
    """A word or sign in capitals, or ``'`` for what is quoted; and the name that it may be."""

    word: str
    name: str


def written_tables(text: str) -> frozenset[str]:
    """Return the names of the tables that a statement changes, without their schema.

    Args:
        text: one or several statements. Of one that begins with a verb unknown here, or calls a procedure,
            nothing is known.
    """
    if ";" not in text and _READ.match(text) and not _SET_STATEMENT.match(text):
        return frozenset()
    words = _words(text)
    if ";" not in text:
        return frozenset(_written(words))
    return frozenset(chain.from_iterable(map(_written, _statements(words))))


def _words(text: str) -> Iterator[_Word]:
    for start, word in tokens(text):
        match = _NAME.match(text, start)
        name = "" if match is None else next(filter(None, match.groups()), "")
        yield _Word(word, name.replace("``", "`"))


def _statements(words: Iterator[_Word]) -> Iterator[Iterator[_Word]]:
    statement: list[_Word] = []
    for each in words:
        if each.word != ";":
            statement.append(each)
            continue
        yield iter(statement)
        statement = []
    yield iter(statement)


def _written(words: Iterator[_Word]) -> Iterable[str]:
    """Return what one statement writes; of a long one no more is looked at than it takes."""
    depth = 0
    for each in words:
        depth += (each.word == "(") - (each.word == ")")
        if depth == 0 and each.word in _VERBS:
            return _VERBS[each.word](words)
        if depth == 0 and each.word == "SELECT":
            return ()
    return ()


def _first(words: Iterator[_Word]) -> Iterable[str]:
    """Of INSERT, REPLACE, TRUNCATE, ALTER: the first name."""
    return list(_references(words, most=1).values())


def _joined(words: Iterator[_Word]) -> Iterable[str]:
    """Of UPDATE: all tables before SET."""
    return _references(words).values()


def _deleted(words: Iterator[_Word]) -> Iterable[str]:
    """Of DELETE: those that it names, which may be aliases of those behind FROM or USING."""
    named: list[_Word] = []
    for each in words:
        if each.word == "FROM":
            break
        named.append(each)
    if named := [each for each in named if each.word not in _MODIFIERS]:
        return _resolved(_references(iter(named)), _references(words))
    ended: list[str] = []
    targets = _references(words, ended)
    return targets.values() if ended != ["USING"] else _resolved(targets, _references(words))


def _resolved(targets: dict[str, str], sources: dict[str, str]) -> Iterable[str]:
    return [sources.get(name, name) for name in targets.values()]


def _loaded(words: Iterator[_Word]) -> Iterable[str]:
    """Of LOAD DATA: what follows INTO."""
    for _ in takewhile(lambda each: each.word != "INTO", words):
        pass
    return _first(words)


def _tables(words: Iterator[_Word]) -> Iterable[str]:
    """Of DROP and RENAME TABLE: all names."""
    kind = next((each.word for each in words if each.word not in _MODIFIERS - {"TABLE"}), "")
    return [each.name for each in words if each.name and each.word not in _MODIFIERS | {"TO"}] * (
        kind in {"TABLE", "TABLES"}
    )


def _altered(words: Iterator[_Word]) -> Iterable[str]:
    """Of ALTER TABLE: its name."""
    kind = next((each.word for each in words if each.word not in _MODIFIERS - {"TABLE"}), "")
    return _first(words) if kind == "TABLE" else ()


_VERBS: dict[str, Callable[[Iterator[_Word]], Iterable[str]]] = {
    **dict.fromkeys(["INSERT", "REPLACE", "TRUNCATE"], _first),
    "UPDATE": _joined,
    "DELETE": _deleted,
    "LOAD": _loaded,
    "ALTER": _altered,
    **dict.fromkeys(["DROP", "RENAME"], _tables),
}


def _references(
    words: Iterator[_Word], ended: list[str] | None = None, *, most: int | None = None
) -> dict[str, str]:
    """Return the tables that are named up to the next clause, by their aliases or their own names.

    Args:
        words: goes on behind the word that ends them.
        ended: takes that word, if there is one.
        most: how many to look for.
    """
    walk, depth, subquery, joined = _Walk(), 0, 0, 0
    for each in words:
        depth += (each.word == "(") - (each.word == ")")
        is_opened = each.word == "(" and depth == joined + 1 and walk.awaits_table  # UPDATE (a, b) SET …
        joined = depth if is_opened else min(joined, max(depth, 0))
        if depth > 0 and each.word in _SUBQUERIES:
            walk.end_table()
            subquery = subquery or depth
        if subquery and depth >= subquery:
            continue
        subquery = 0
        if depth <= 0 and each.word in _AFTER_TABLES:
            if ended is not None:
                ended.append(each.word)
            break
        walk.pass_by(each, is_outside=depth <= joined)
        if len(walk.found) == most and not walk.may_go_on:
            break
    return walk.found


class _Walk:
    """A walk along the references to tables.

    Attributes:
        found: the tables, by what they are called there.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._last = ""
        self._due = "table"
        self._is_hint = False  # FORCE INDEX FOR JOIN (…)

    @property
    def awaits_table(self) -> bool:
        """Whether the next name is that of a table."""
        return self._due == "table"

    @property
    def may_go_on(self) -> bool:
        """Whether the next word may belong to the last table."""
        return self._due != ""

    def end_table(self) -> None:
        """Stand behind a table, which is none of the database's, or has no alias."""
        self._due = ""

    def pass_by(self, each: _Word, *, is_outside: bool) -> None:
        """Go on behind *each*; *is_outside*, if that is in no parentheses."""
        word, name = each
        was_hint, self._is_hint = self._is_hint, word == "FOR"
        if (word in _JOINS and not was_hint) or (word == "," and is_outside):
            self._due = "table"
        elif word == "." and self._due == "alias":
            self._due = "rest of the name"
        elif self._due == "alias" and word != "AS":
            self._due = ""
            if name and word not in _BEHIND:
                self.found[name] = self.found.pop(self._last)
        elif self._due == "rest of the name":
            self._due = "alias"
            if name:  # else all columns of a table: t.*
                del self.found[self._last]
                self._take(name)
        elif self._due == "table" and name and word not in _MODIFIERS:
            self._due = "alias"
            self._take(name)

    def _take(self, name: str) -> None:
        self.found[name] = self._last = name
