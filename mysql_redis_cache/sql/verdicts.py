"""What a statement does, by its words: its verb, whether it answers with rows, and why not to cache it."""

from __future__ import annotations

import re
from enum import Enum
from itertools import dropwhile
from typing import TYPE_CHECKING

from .scanner import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "answer_of", "refusal_of", "said", "verb_of"]

_READS = frozenset(["SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "TABLE", "VALUES", "CALL"])
_SELECTS = frozenset(["SELECT", "WITH", "TABLE", "VALUES"])
_WRITES = frozenset(["INSERT", "REPLACE", "UPDATE", "DELETE"])
_EXPLAINS = frozenset(["EXPLAIN", "DESCRIBE", "DESC"])
_MAIN_VERBS = (_SELECTS | _WRITES) - {"WITH"}


def verb_of(text: str) -> str:
    """Say what a statement does: ``"SELECT"``, or ``"UPDATE"`` also behind a WITH; nothing if unclear."""
    verb = _main_verb(_words(text))
    return verb if verb.isidentifier() else ""


def said(text: str, verb: str) -> str:
    """Say where *verb* is in *text*, for messages."""
    if not verb:
        return "it begins with no verb"
    return f"it begins with {verb}" if verb == next(_words(text)) else f"its verb is {verb}"


def _words(text: str) -> Iterator[str]:
    return dropwhile("(".__eq__, (word for _, word in tokens(text)))


def _main_verb(words: Iterator[str]) -> str:
    first = next(words, "")
    if first in _EXPLAINS:
        return first if next(words, "") != "ANALYZE" else _verb_behind(words) or first
    return first if first != "WITH" else _verb_behind(words) or first


def _verb_behind(words: Iterator[str]) -> str | None:
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in _MAIN_VERBS:
            return word
    return None


# --- rows or not -------------------------------------------------------------------------------------------


class Answer(Enum):
    """What a statement answers with."""

    ROWS = "rows, and that is all it does"
    BOTH = "rows of what it has done"
    EFFECT = "what it has done, without rows"
    TRANSACTION = "nothing: it begins or ends a transaction"
    UNKNOWN = "the server knows"

    @property
    def advice(self) -> str:
        """Which call such a statement is for."""
        return _ADVICE[self]


_ADVICE = {
    Answer.ROWS: "use query()",
    Answer.BOTH: "use query(), which gives its rows",
    Answer.EFFECT: "use execute()",
    Answer.TRANSACTION: "use transaction()",
    Answer.UNKNOWN: "use query() for its rows, or execute()",
}
# By the first word, or by the first two where they tell more.
_ANSWERS = {
    **dict.fromkeys(["HELP", "CHECKSUM", "XA RECOVER", "SHOW", *_EXPLAINS, *_SELECTS], Answer.ROWS),
    **dict.fromkeys(["CHECK", "OPTIMIZE", "REPAIR", "CACHE", "LOAD INDEX", "HANDLER"], Answer.BOTH),
    **dict.fromkeys(
        [
            *("CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "SET", "DO", "USE"),
            *("LOCK", "UNLOCK", "FLUSH", "KILL", "LOAD", "PREPARE", "DEALLOCATE", "SIGNAL"),
            *("INSTALL", "UNINSTALL", "PURGE", "RESET", "START", "STOP", "CHANGE"),
        ],
        Answer.EFFECT,
    ),
    **dict.fromkeys(
        [
            *("START TRANSACTION", "BEGIN ", "BEGIN WORK", "BEGIN ;", "COMMIT", "ROLLBACK"),
            *("SAVEPOINT", "RELEASE"),
        ],
        Answer.TRANSACTION,
    ),
}


def answer_of(text: str) -> Answer:
    """Say what the statement answers with, as far as its words tell."""
    words = _words(text)
    first, second = next(words, ""), next(words, "")
    if (first, second) == ("SET", "STATEMENT"):
        return _answer_behind_for(text)
    if first == "ANALYZE":  # a table, or in MariaDB a statement, which is run
        return Answer.ROWS if _verb_behind(_words(text)) in {"SELECT", "VALUES"} else Answer.BOTH
    verb = _main_verb(_words(text))
    if verb in _WRITES:
        return Answer.BOTH if first in _EXPLAINS or _has_word(text, "RETURNING") else Answer.EFFECT
    if verb in _SELECTS and _has_word(text, "INTO"):
        return Answer.EFFECT
    return _ANSWERS.get(f"{first} {second}") or _ANSWERS.get(verb, Answer.UNKNOWN)


def _answer_behind_for(text: str) -> Answer:
    """Say it of MariaDB's ``SET STATEMENT … FOR …``; who takes it for a setting or for a write is right."""
    start = next((start for start, word in tokens(text) if word == "FOR"), len(text))
    answer = answer_of(text[start + len("FOR") :])
    return Answer.UNKNOWN if answer is Answer.EFFECT else answer


def _has_word(text: str, word: str) -> bool:
    return word in text.upper() and word in _words(text)


# --- why not to cache it -----------------------------------------------------------------------------------

# Functions and variables that answer for one session, and a pooled connection is any session.
_LOCKS = "GET_LOCK|RELEASE_LOCK|RELEASE_ALL_LOCKS"
_SESSION_FUNCTIONS = (
    f"{_LOCKS}|IS_FREE_LOCK|IS_USED_LOCK|NEXTVAL|LASTVAL|SETVAL|LAST_INSERT_ID"
    "|FOUND_ROWS|ROW_COUNT|CONNECTION_ID|PS_CURRENT_THREAD_ID|USER|SESSION_USER|SYSTEM_USER"
)
_SESSION_VARIABLES = "IDENTITY|INSERT_ID|LAST_INSERT_ID|WARNING_COUNT|ERROR_COUNT|PSEUDO_THREAD_ID"
_OF_ONE_SESSION = "whose answer is another in each session; use query()"

# Without one of these in the text no refusal is possible, and the text need not be taken apart.
_SUSPECTS = frozenset(
    [";", "@", "FOR", "LOCK", "INTO", "SHOW", "CURRENT_USER", "CURRENT_ROLE", *_SESSION_FUNCTIONS.split("|")]
)
_NAMES = re.compile(r"[A-Z_]+|[;@]")

# Searched for in the words of a statement with one space between them. What has a function's name may be a
# derived table's alias, `) user (id)`, or a common table expression, `user (id) AS (`: no call looks so.
_CALLED = r"(?<!\) )(?<!\bAS )(?<!\S)(?:%s) (?!\([^()]*\) AS \()\("
_EXPLAINED = "(?:EXPLAIN|DESCRIBE|DESC) (?!ANALYZE )"  # and not run
_REFUSALS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"; [^;]", "it holds several statements; send them one by one"),
        (
            r"\bFOR (?:UPDATE|SHARE)\b|\bLOCK IN SHARE MODE\b",
            "it locks rows; use query() inside transaction()",
        ),
        (rf"^(?!{_EXPLAINED}).*(?<!\S)INTO(?!\S)", "it writes what it selects (INTO); use execute()"),
        (
            _CALLED % _LOCKS,
            "it takes or releases a lock, which ends with its call; use a connection of get_mysql_pool()",
        ),
        (_CALLED % _SESSION_FUNCTIONS, f"it calls a function {_OF_ONE_SESSION}"),
        (r"(?<!\bAS )(?<!\S)CURRENT_(?:USER|ROLE)(?!\S)", f"it asks for the account, {_OF_ONE_SESSION}"),
        (r"\b(?:NEXT|PREVIOUS) VALUE FOR\b", f"it draws from a sequence, {_OF_ONE_SESSION}"),
        (rf"@@(?:SESSION\.|LOCAL\.)?(?:{_SESSION_VARIABLES})\b", f"it reads a variable {_OF_ONE_SESSION}"),
        (r"^(?!SHOW ).*(?<!\S)@(?!@)", f"it uses a user variable (@name), {_OF_ONE_SESSION}"),
        (r"^SHOW (?:WARNINGS|ERRORS|COUNT|PROFILES?)\b", f"it shows diagnostics, {_OF_ONE_SESSION}"),
    )
)


def refusal_of(text: str, verb: str) -> str | None:
    """Say why the result of the statement may not be cached, as a clause that ends in advice; or None.

    A guard against mistakes, not a security boundary: it does not know what procedures and stored functions
    do, and it lets ``NOW()``, ``RAND()`` and ``UUID()`` pass, whose answers callers may want to keep.
    """
    if verb not in _READS:
        return f"it is not a read ({said(text, verb)}); {answer_of(text).advice}"
    if _SUSPECTS.isdisjoint(_NAMES.findall(text.upper())):
        return None
    code = " ".join(_words(text))
    return next((reason for pattern, reason in _REFUSALS if pattern.search(code)), None)
