"""What a statement is about, in few words and without values: for traces.

As OpenTelemetry's semantic conventions ask of ``db.query.summary`` and ``db.query.text``.
"""

from __future__ import annotations

import re

from .scanner import tokens

__all__ = ["masked", "summary"]

LONGEST = 255

_OPERATIONS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "CALL", "SHOW", "TABLE", "VALUES"}
)
_BEFORE_TARGETS = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "CALL", "TABLE"})
_NAME = re.compile(r"(?:`[^`]++`|[\w$]++)(?:\s*+\.\s*+(?:`[^`]++`|[\w$]++))*+")
_LITERAL = re.compile(
    r"(?P<kept>`[^`]*+`|\#[^\n]*+|--\s[^\n]*+|/\*.*?\*/|[A-Za-z_$@][\w$]*+)"
    r"|'(?:[^'\\]|\\.|'')*+'|\"(?:[^\"\\]|\\.|\"\")*+\"|\d[\w.]*+",
    re.DOTALL,
)


def summary(text: str) -> str:
    """Return the operations and tables of a statement in their order: ``SELECT users orders``."""
    words: list[str] = []
    is_target = False
    for start, word in tokens(text):
        if is_target and (name := _NAME.match(text, start)) is not None and word not in _OPERATIONS:
            words.append(re.sub(r"[`\s]", "", name.group()))
        elif word in _OPERATIONS and (word != "VALUES" or not words):
            words.append(word)
        is_target = word in _BEFORE_TARGETS
    return _shortened(words)


def masked(text: str) -> str:
    """Return a statement with ``?`` in place of the values that stand in its text."""
    return _LITERAL.sub(lambda match: match["kept"] or "?", text)


def _shortened(words: list[str]) -> str:
    while words and len(" ".join(words)) > LONGEST:
        words.pop()
    return " ".join(words)
