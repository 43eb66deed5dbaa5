"""What a statement may do to the session it runs in, as far as no reply of the server tells.

The server tells whether a transaction is open, and of settings, user variables, temporary tables and
schemas that a statement changes. It does not tell of locks, of user variables set by a SELECT, or of what a
procedure has committed. A statement is harmless only if that is certain; a doubt costs one round trip, a
mistake somebody else's rows.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache import sql

from .functions import is_built_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.sql.scanner import Mode

__all__ = ["HARMLESS", "Effects", "effects_of"]

# Longer ones are not taken apart, and beyond the second number not even searched: beside sending them, a
# round trip is nothing.
_LONGEST = 20_000
_LONGEST_SEARCHED = 1_000_000
_CACHED = 512


class Effects(NamedTuple):
    """What a statement may do.

    Attributes:
        changes: it may leave something in the session that the server does not tell of.
        is_beyond_reset: it may leave what a reset of the session does not undo: another role.
        is_opaque: it may commit, and begin another transaction, so that the server's flags do not show it.
        hides: it runs what its text does not show: a routine, a prepared statement.
        may_commit: it may commit, which the flags show.
        sets_own_mode: it has an sql_mode of its own, which its reply may show as the session's.
        asks_back: its answer depends on what ran in the session before it.
        alone: why it must not be run outside a transaction's block; None if it may.
        inside: why it must not be run inside one; None if it may.
    """

    changes: bool = False
    is_beyond_reset: bool = False
    is_opaque: bool = False
    hides: bool = False
    may_commit: bool = False
    sets_own_mode: bool = False
    asks_back: bool = False
    alone: str | None = None
    inside: str | None = None


HARMLESS = Effects()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN = _words("SELECT INSERT REPLACE UPDATE DELETE WITH TABLE VALUES SHOW DESCRIBE DESC EXPLAIN DO")
_TRANSACTIONAL = _words("START COMMIT ROLLBACK SAVEPOINT RELEASE")
_OF_TRANSACTIONS = _words("COMMIT ROLLBACK SAVEPOINT")
_OF_TRANSACTIONS_TOO = {("START", "TRANSACTION"), ("RELEASE", "SAVEPOINT")}
_OTHER_MODES: tuple[Mode, ...] = ("ansi_quotes", "no_backslash_escapes")
# What they do to a transaction is in the flags of their reply.
_TELLING = (
    _PLAIN
    | _TRANSACTIONAL
    | _words("SET USE CREATE ALTER DROP TRUNCATE RENAME GRANT REVOKE ANALYZE CHECK CHECKSUM OPTIMIZE REPAIR")
    | _words(
        "CACHE FLUSH LOCK UNLOCK LOAD HANDLER PREPARE DEALLOCATE KILL HELP INSTALL UNINSTALL PURGE RESET"
    )
    | _words("SIGNAL BACKUP")
)
# These may hold statements of their own behind semicolons.
_BODIES = _words("CREATE ALTER BEGIN DECLARE IF CASE LOOP WHILE REPEAT FOR")
# What follows these and stands before a parenthesis is no function.
_BEFORE_NAMES = _words("INTO WITH RECURSIVE AS")

_EVIDENT = re.compile(
    r"[\s(]*+(?:select|insert|replace|update|delete|with|table|values|show|desc|describe|explain|do)\b"
)
_USER_VARIABLE = re.compile(r"(?<![\w@.])@(?!@)")
_SIGNS = re.compile(r"[^\w$.`\"]+")
_BEYOND_RESET = re.compile(r"\brole\b|\bauthorization\b|\bresource\b.*\bgroup\b", re.DOTALL)
# With a value `last_insert_id(…)` is a setting; what is not clearly that, such as a comment, is a question.
_SETS_ID = r"last_insert_id\s*\(\s*[\w@?%:'\"(+]"
_SETS_ID_UNTOLD = re.compile(rf"^(?!\s*(?:update|insert|replace)\b).*{_SETS_ID}", re.DOTALL)
_ASKS_BACK = re.compile(
    rf"(?!{_SETS_ID})last_insert_id|found_rows|row_count|lastval|\bdiagnostics\b"
    r"|\bprevious\b.*\bvalue\b|\bshow\b.*\b(?:warnings|errors|profiles?)\b"
    r"|@@.*\b(?:identity|insert_id|warning_count|error_count)\b",
    re.DOTALL,
)

_INSTEAD = "a pooled connection is any session: group statements by transaction()"
_BLOCK_ENDS = "the block's end commits and an exception rolls back"
_LOCAL_FILE = (
    "it holds LOAD DATA LOCAL, which sends a file: use a connection of get_mysql_pool(), with local_infile"
)


def effects_of(text: str, *, has_values: bool = False) -> Effects:
    """Return what a statement may do to its session.

    Args:
        text: the statement.
        has_values: whether values were put into it, so that it will not recur, and is nothing to keep.
    """
    return _effects(text) if has_values or len(text) > _LONGEST else _cached_effects(text)


def _effects(text: str) -> Effects:
    if len(text) > _LONGEST_SEARCHED:
        return _of_verbs(text, "", in_doubt=True)
    lowered = text.lower()
    in_doubt = _may_hold(lowered)
    if in_doubt or not _EVIDENT.match(lowered) or _may_hide(lowered) or _may_call(lowered):
        return _of_verbs(text, lowered, in_doubt=in_doubt or len(text) > _LONGEST)
    return Effects(asks_back=True) if _asks_back(lowered) else HARMLESS


_cached_effects = lru_cache(maxsize=_CACHED)(_effects)


# In these a chain of ``in``: most texts hold none of it, and anything else takes ten times as long.


def _may_hold(text: str) -> bool:
    """Whether it may take a lock or set a user variable or the last id, which a SELECT does unnoticed."""
    if "get_lock" in text or "service_get" in text or "version_tokens" in text or ":=" in text:
        return True
    if "last_insert_id" in text and _SETS_ID_UNTOLD.search(text) is not None:
        return True
    return "@" in text and _USER_VARIABLE.search(text) is not None


def _may_hide(text: str) -> bool:
    """Whether there may be another statement, or a setting, behind its beginning."""
    if "/*" in text or "--" in text or "#" in text:
        return True
    return ";" in text or "\\" in text or "set_var" in text


def _asks_back(text: str) -> bool:
    """Whether its answer depends on what ran in the session before."""
    if "last" in text or "found_rows" in text or "row_count" in text or "@@" in text:
        return _ASKS_BACK.search(text) is not None
    if "show" in text or "previous" in text or "diagnostics" in text:
        return _ASKS_BACK.search(text) is not None
    return False


def _may_call(lowered: str) -> bool:
    """Whether a parenthesis follows what may be the name of a stored function."""
    for piece in lowered.split("(")[:-1]:
        words = piece.rsplit(None, 2)
        if words and not (is_built_in(words[-1].upper()) or words[-2:-1] == ["into"]):
            name = _SIGNS.split(words[-1])[-1]
            if name and not is_built_in(name.upper()):
                return True
    return False


def _of_verbs(text: str, lowered: str, *, in_doubt: bool) -> Effects:
    """Take the text apart."""
    statements = _read(text, "default") if len(text) <= _LONGEST else _beginning(text)
    # Where a string ends depends on the sql_mode if there is a backslash in it: what may be read, may be run.
    others = [_read(text, mode) for mode in _OTHER_MODES] if "\\" in text[:_LONGEST] else []
    readings = [*statements, *chain.from_iterable(others)]
    verbs = {words[0] for words in readings}
    has_own_settings = any(words[:2] == ["SET", "STATEMENT"] for words in readings)
    sets_own_mode = has_own_settings or "set_var" in lowered or not lowered
    is_plain = verbs <= _PLAIN
    changes = in_doubt or sets_own_mode or not verbs <= _PLAIN | _TRANSACTIONAL
    is_opaque = has_own_settings or not verbs <= _TELLING
    calls_stored = any(map(_calls_stored, readings))
    return Effects(
        changes=changes or calls_stored,
        is_beyond_reset=not is_plain and _BEYOND_RESET.search(lowered) is not None,
        is_opaque=is_opaque,
        hides=is_opaque or (is_plain and calls_stored),
        may_commit=not verbs <= _PLAIN | _TRANSACTIONAL,
        sets_own_mode=sets_own_mode,
        asks_back=len(text) <= _LONGEST and _asks_back(lowered),
        alone=next(filter(None, map(_refused_alone, statements)), None),
        inside=next(filter(None, map(_refused_inside, statements)), None),
    )


def _read(text: str, mode: Mode) -> list[list[str]]:
    """The words of each of the statements in *text*; of what holds statements of its own it is one."""
    statements: list[list[str]] = [[]]
    for _, word in sql.tokens(text, mode):
        if word == ";" and statements[0] and statements[0][0] not in _BODIES:
            statements.append([])
        elif statements[-1] or word != "(":
            statements[-1].append(word)
    return [statement for statement in statements if statement] or [[""]]


def _beginning(text: str) -> list[list[str]]:
    words: Iterator[str] = (word for _, word in sql.tokens(text) if word != "(")
    return [[next(words, ""), next(words, ""), next(words, "")]]


def _calls_stored(statement: list[str]) -> bool:
    """Whether it calls a function that is not the server's own."""
    for place, word in enumerate(statement):
        if word != "(" or not place:
            continue
        name = statement[place - 1]
        start = place - 1
        while start >= 2 and statement[start - 1] == ".":
            start -= 2
        if (start and statement[start - 1] in _BEFORE_NAMES) or (
            name != "'" and start == place - 1 and is_built_in(name)
        ):
            continue
        return True
    return False


def _refused_alone(words: list[str]) -> str | None:
    verb, second = [*words, ""][:2]
    if _sets_autocommit(words):
        return f"it sets autocommit, and {_INSTEAD}"
    if verb in _OF_TRANSACTIONS or (verb, second) in _OF_TRANSACTIONS_TOO:
        return f"it holds {verb}, and {_INSTEAD}"
    return _refused_anywhere(verb, second, words)


def _refused_inside(words: list[str]) -> str | None:
    verb, second = [*words, ""][:2]
    if _sets_autocommit(words):
        return f"it sets autocommit, and {_BLOCK_ENDS}"
    is_part = verb == "ROLLBACK" and "TO" in words
    if verb in {"COMMIT", "ROLLBACK", "START"} and not is_part and second not in {"SLAVE", "REPLICA"}:
        return f"it holds {verb}, and {_BLOCK_ENDS}"
    if verb in {"LOCK", "UNLOCK"} and second in {"TABLE", "TABLES"}:
        return f"it holds {verb} {second}, which commits: use a connection of get_mysql_pool()"
    return _refused_anywhere(verb, second, words)


def _refused_anywhere(verb: str, second: str, words: list[str]) -> str | None:
    if verb == "BEGIN" and second != "NOT":
        return f"it holds BEGIN, and {_INSTEAD}"
    if verb == "XA" and second != "RECOVER":
        return "it holds XA, whose transaction outlives the call: use a connection of get_mysql_pool()"
    return _LOCAL_FILE if verb == "LOAD" and "LOCAL" in words[:4] else None


_AUTOCOMMIT = re.compile(r"@@(?:(?:SESSION|LOCAL)\.)?AUTOCOMMIT|AUTOCOMMIT")


def _sets_autocommit(words: list[str]) -> bool:
    if words[0] != "SET":
        return False
    return any(_AUTOCOMMIT.fullmatch(word) and before != "GLOBAL" for before, word in pairwise(words))
