"""Where the quotes, comments, placeholders and words of an SQL text are. Knows no values and no statements.

A ``?`` counts as mysql2's ``query()`` counts it: not in quotes, backticks or comments, but in ``/*! … */``,
``/*M! … */`` (MariaDB's own) and optimizer hints ``/*+ … */``. Where a quote ends depends on the session's
sql_mode: backslash is an ordinary character under ``NO_BACKSLASH_ESCAPES``, and under ``ANSI_QUOTES`` it is
one inside double quotes, which then hold an identifier.

Source: mysql2's ``sql-escaper``, and the MySQL manual, "String Literals" and "Comments".
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Mode", "Plan", "Slot", "in_assignments", "plans", "tokens"]

Mode = Literal["default", "ansi_quotes", "no_backslash_escapes"]
_MODES: tuple[Mode, ...] = ("default", "ansi_quotes", "no_backslash_escapes")


class Slot(NamedTuple):
    """A placeholder: where it is, whether it is ``??``, and whether it is inside ``/*! … */`` or a hint."""

    start: int
    end: int
    is_identifier: bool
    is_guarded: bool


class Plan(NamedTuple):
    """The placeholders of a text under one sql_mode.

    Attributes:
        mode: the sql_mode it holds for.
        slots: the placeholders in order.
        pieces: the text around them; the odd ones are empty and wait for the values.
        is_plain: whether they are all ``?`` or ``%s`` outside ``/*! … */`` and hints.
        is_malformed: whether there is a run of three or more question marks.
    """

    mode: Mode
    slots: tuple[Slot, ...]
    pieces: tuple[str, ...]
    is_plain: bool
    is_malformed: bool


def plans(text: str) -> Mapping[Mode, Plan]:
    """The plan of *text* for each sql_mode that matters: the same one unless it holds a backslash."""
    if "\\" not in text:
        return dict.fromkeys(_MODES, _scan(text, "default"))
    return {mode: _scan(text, mode) for mode in _MODES}


def tokens(text: str, mode: Mode = "default") -> Iterator[tuple[int, str]]:
    """The words and signs of *text* with their offsets, without comments and hints.

    Words come in capitals, so that keywords compare; what cannot be a keyword (anything quoted, a name after
    a dot) comes as ``'``.
    """
    in_hint, after_dot = False, False
    for match, depth in _matches(_tokenizer(mode), text):
        kind, word = match.lastgroup, match.group()
        if kind == "open":
            in_hint = word.endswith("+")
        elif kind in {"quoted", "word", "sign"} and not (in_hint and depth):
            is_name = kind == "quoted" or (kind == "word" and after_dot)
            yield match.start(), "'" if is_name else word.upper()
            after_dot = word == "."


_CLAUSES = frozenset(
    (
        *(
            "WHERE",
            "ORDER",
            "GROUP",
            "HAVING",
            "LIMIT",
            "UNION",
            "RETURNING",
            "INTO",
            "FOR",
            "LOCK",
            "OFFSET",
        ),
        *("WINDOW", "PROCEDURE", "ON", ";"),
    )
)


def in_assignments(text: str, position: int, mode: Mode) -> bool:
    """Whether the placeholder at *position* stands for assignments, as in ``SET ?`` or ``SET a = 1, ?``."""
    in_list, is_next, depth, previous = False, False, 0, ""
    for start, word in tokens(text, mode):
        if start >= position:
            break
        if word == "SET" or (previous, word) == ("KEY", "UPDATE"):
            in_list, is_next, depth = True, True, 0
        else:
            depth += (word == "(") - (word == ")")
            in_list = in_list and depth >= 0 and not (depth == 0 and word in _CLAUSES)
            is_next = word == "," and depth == 0
        previous = word
    return in_list and is_next


def _scan(text: str, mode: Mode) -> Plan:
    marks: list[Slot] = []
    percents: list[Slot] = []
    for match, depth in _matches(_scanner(mode), text):
        start, end = match.span()
        if match.lastgroup == "mark":
            marks.append(Slot(start, end, end - start == 2, depth > 0))
        elif match.lastgroup == "percent":
            percents.append(Slot(start, end, False, depth > 0))
    slots = tuple(marks or percents)
    return Plan(
        mode,
        slots,
        _pieces(text, slots),
        is_plain=not any(slot.is_identifier or slot.is_guarded for slot in slots),
        is_malformed=any(slot.end - slot.start > 2 for slot in slots),
    )


def _pieces(text: str, slots: tuple[Slot, ...]) -> tuple[str, ...]:
    pieces: list[str] = []
    end = 0
    for slot in slots:
        pieces += (text[end : slot.start], "")
        end = slot.end
    return (*pieces, text[end:])


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], int]]:
    """What *pattern* finds in turn, with the number of ``/*! … */`` and hints around it."""
    position, depth = 0, 0
    while match := pattern.search(text, position):
        position = match.end()
        if match.lastgroup == "open":
            depth += 1
        elif match.lastgroup == "close" and depth:
            depth -= 1
        elif match.lastgroup == "close":
            position -= 1  # nothing to end: a multiplication sign, and the slash may begin a comment
        yield match, depth


@cache
def _scanner(mode: Mode) -> re.Pattern[str]:
    return _lexer(mode, r"""[^'"`\#\-/*?%]++""", r"(?P<mark>\?+)", r"%%|(?P<percent>%s(?![\w$]))")


@cache
def _tokenizer(mode: Mode) -> re.Pattern[str]:
    # A number takes its dot along, lest the word after it be taken for a name after a dot; 2fa is a name.
    return _lexer(
        mode,
        r"\s++",
        r"(?P<word>@@[\w$.]*+|@?[A-Za-z_$\x80-\U0010ffff][\w$]*+)",
        r"(?P<sign>\d++(?:\.|[\w$]*+)|:=|\S)",
    )


def _lexer(mode: Mode, *more: str) -> re.Pattern[str]:
    quoted = "|".join(
        (
            _quoted("'", backslash=mode != "no_backslash_escapes"),
            _quoted('"', backslash=mode == "default"),
            _quoted("`", backslash=False),
        )
    )
    comment = r"\#[^\n]*+|--(?=[\0-\x20\x7f]|\Z)[^\n]*+|/\*(?![!+]|M!).*?(?:\*/|\Z)"
    hint = r"(?P<open>/\*(?:M?!\d*+|\+))|(?P<close>\*/)"
    return re.compile("|".join((f"(?P<quoted>{quoted})|(?P<comment>{comment})|{hint}", *more)), re.DOTALL)


def _quoted(quote: str, *, backslash: bool) -> str:
    # Possessive, so that no text takes more than linear time. An unterminated quote reaches to the end.
    inside = rf"[^{quote}\\]++|\\." if backslash else rf"[^{quote}]++"
    return rf"{quote}(?:{inside}|{quote}{quote})*+{quote}?"
