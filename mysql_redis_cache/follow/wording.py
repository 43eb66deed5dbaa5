"""What a statement that stands in the log as text does to transactions and tables."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

__all__ = ["Act", "Said", "is_plain", "mentions", "said", "words"]


class Act(Enum):
    """What a statement is."""

    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()  # what is in the log all the same was done by an engine without transactions
    NOTHING = auto()
    XA_COMMIT = auto()
    XA_ROLLBACK = auto()
    SCHEMA = auto()  # a whole schema
    DEFINITION = auto()  # of the tables that it names
    WRITE = auto()  # of nobody knows which tables


class Said(NamedTuple):
    """An act, and the name of the XA transaction that it is about."""

    act: Act
    xid: str = ""


_COMMENTS = re.compile(r"(?:\s|/\*M?!\d*|/\*(?!M?!).*?\*/|(?:--\s|#)[^\n]*(?:\n|\Z))+", re.DOTALL)
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[\w$]+")

# The first that fits counts; a blank stands for any space.
_ACTS = [
    (re.compile(rf"(?:{pattern})\b", re.IGNORECASE), act)
    for pattern, act in (
        ("BEGIN|XA (?:START|BEGIN)|START TRANSACTION", Act.BEGIN),
        ("COMMIT", Act.COMMIT),
        ("SAVEPOINT|ROLLBACK (?:WORK )?TO|RELEASE SAVEPOINT|XA END", Act.NOTHING),
        ("ROLLBACK", Act.ROLLBACK),
        ("XA COMMIT", Act.XA_COMMIT),
        ("XA ROLLBACK", Act.XA_ROLLBACK),
        ("(?:CREATE|ALTER|DROP) (?:OR REPLACE )?(?:DATABASE|SCHEMA)", Act.SCHEMA),
        (
            r"(?:CREATE|ALTER|DROP) (?:OR REPLACE )?(?:DEFINER ?= ?\S+ |AGGREGATE |IF EXISTS )*"
            "(?:USER|ROLE|FUNCTION|PROCEDURE|PACKAGE|TRIGGER|EVENT|SERVER|RESOURCE|LOGFILE|UNDO|TABLESPACE)",
            Act.NOTHING,
        ),
        ("GRANT|REVOKE|SET PASSWORD|SET ROLE|SET DEFAULT ROLE|FLUSH|ANALYZE|INSTALL|UNINSTALL", Act.NOTHING),
        ("CREATE|ALTER|DROP|RENAME|TRUNCATE|OPTIMIZE|REPAIR", Act.DEFINITION),
    )
]


def said(text: str) -> Said:
    """Tell what a statement is.

    Args:
        text: the statement.

    Returns:
        What it is; whatever is not known for sure is a write.
    """
    head = _COMMENTS.match(text)
    text = text[head.end() :] if head else text
    start = _SPACE.sub(" ", text[:400])
    for pattern, act in _ACTS:
        found = pattern.match(start)
        if found is not None:
            is_xa = act in {Act.XA_COMMIT, Act.XA_ROLLBACK}
            return Said(act, start[found.end() :].replace(" ONE PHASE", "").strip() if is_xa else "")
    return Said(Act.WRITE)


def words(text: str) -> set[str]:
    """Return everything in a statement that may be a plain name, as written and in small letters."""
    found = set(_WORD.findall(text))
    return found | {word.lower() for word in found}


def is_plain(text: str) -> bool:
    """Whether every name in a statement is one of ``words``: quotes hold words, nothing is foreign."""
    for quote in '`"':
        pieces = text.split(quote)
        if len(pieces) % 2 == 0 or not all(_WORD.fullmatch(piece) for piece in pieces[1::2]):
            return False
    return text.isascii()


def mentions(text: str, table: str) -> bool:
    r"""Whether a statement may be about a table of that name.

    Bytes that are in no known character set (``\xff``) may be any name that is not plain ASCII.
    """
    if not table.isascii() and "\\x" in text:
        return True
    if _WORD.fullmatch(table):
        return table.lower() in words(text)
    return table.lower() in text.lower().replace("``", "`").replace('""', '"')
