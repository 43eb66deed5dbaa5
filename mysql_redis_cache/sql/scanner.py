"""Where the quotes, comments, placeholders and words of an SQL text are. Knows no values and no statements.

A ``?`` counts as mysql2's ``query()`` counts it: not in quotes, backticks or comments, but in ``/*! … */``,
``/*M! … */`` (MariaDB's own) and optimizer hints ``/*+ … */``. Where a quote ends depends on the session's
sql_mode: backslash is an ordinary character under ``NO_BACKSLASH_ESCAPES``, and under ``ANSI_QUOTES`` it is
one inside double quotes, which then hold an identifier.

Source: mysql2's ``sql-escaper``, and the MySQL manual, "String Literals" and "Comments".
"""

from __future__ import annotations

import re
import sys
from array import array
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    _Found: TypeAlias = list[tuple[re.Match[str], int]]

__all__ = ["Form", "Mode", "Plan", "Scan", "Slot", "scans", "tokens"]

Form = Literal["?", "%", ":"]
Mode = Literal["default", "ansi_quotes", "no_backslash_escapes"]
_MODES: tuple[Mode, ...] = ("default", "ansi_quotes", "no_backslash_escapes")

_IDENTIFIER, _GUARDED = 1, 2


class Slot(NamedTuple):
    """A placeholder: where it is, whether it is ``??``, and whether it is inside ``/*! … */`` or a hint."""

    start: int
    end: int
    is_identifier: bool
    is_guarded: bool


class Plan(NamedTuple):
    """The placeholders of a text of one form under one sql_mode. It does not hold the text, only places.

    Attributes:
        mode: the sql_mode it holds for.
        edges: where each placeholder starts and ends, in turn.
        kinds: of each, whether it is a name or guarded, in bits.
        names: of each ``:name`` or ``%(name)s`` its name; of others none.
        form: how they are written, as mysql2's ``?`` and ``??``, as PyMySQL's ``%s`` or ``%(name)s``, or as
            ``:name``.
        is_malformed: whether there is a run of three or more question marks.
    """

    mode: Mode
    edges: array[int]
    kinds: bytes
    names: tuple[str, ...] = ()
    form: Form = "?"
    is_malformed: bool = False

    @property
    def placeholders(self) -> int:
        """How many placeholders there are."""
        return len(self.kinds)

    @property
    def size(self) -> int:
        """How many bytes it takes in memory, about."""
        parts = (self.edges, self.kinds, self.names, *self.names)
        return 200 + sum(map(sys.getsizeof, parts))

    @property
    def is_plain(self) -> bool:
        """Whether they all stand for values, outside ``/*! … */`` and hints."""
        return not self.is_malformed and not any(self.kinds)

    @property
    def slots(self) -> list[Slot]:
        """The placeholders in order."""
        places = zip(self.edges[::2], self.edges[1::2], self.kinds, strict=True)
        return [Slot(start, end, bool(k & _IDENTIFIER), bool(k & _GUARDED)) for start, end, k in places]

    def pieces(self, text: str) -> list[str]:
        """Return the text around them; the odd ones are empty and wait for the values.

        In PyMySQL's form ``%%`` stands for ``%``.
        """
        pieces = [""] * (2 * self.placeholders + 1)
        edges = (0, *self.edges, len(text))
        around = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        pieces[::2] = [piece.replace("%%", "%") for piece in around] if self.form == "%" else around
        return pieces


class Scan(NamedTuple):
    """The placeholders of a text: those that a list of values fills, and those that a mapping fills.

    Attributes:
        positional: the ``?`` and ``??``, or if there are none the ``%s``.
        named: the ``%(name)s``, or if there are none the ``:name``.
        is_mixed: whether there are both of the latter.
    """

    positional: Plan
    named: Plan
    is_mixed: bool = False


def scans(text: str) -> dict[Mode, Scan]:
    """Scan *text* for each sql_mode that matters: one scan for all unless it holds a backslash."""
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


def _scan(text: str, mode: Mode) -> Scan:
    found: dict[str, _Found] = {"mark": [], "percent": [], "named": [], "colon": []}
    for match, depth in _matches(_scanner(mode), text):
        if (kind := match.lastgroup) in found:
            found[kind].append((match, depth))
    marks, percents, named, colons = found.values()
    return Scan(
        _plan(mode, marks, "?") if marks or not percents else _plan(mode, percents, "%"),
        _plan(mode, named, "%", "name") if named or not colons else _plan(mode, colons, ":", "key"),
        is_mixed=bool(named and colons),
    )


def _plan(mode: Mode, found: _Found, form: Form, group: str = "") -> Plan:
    edges = array("I")
    for match, _ in found:
        edges.extend(match.span())
    lengths = [match.end() - match.start() for match, _ in found] if form == "?" else []
    kinds = [_GUARDED * (depth > 0) for _, depth in found]
    for place, length in enumerate(lengths):
        kinds[place] |= _IDENTIFIER * (length == 2)
    names = tuple([match[group] for match, _ in found]) if group else ()
    return Plan(mode, edges, bytes(kinds), names, form if found else "?", max(lengths, default=0) > 2)


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
    return _lexer(
        mode,
        r"""[^'"`\#\-/*?%:]++""",
        r"(?P<mark>\?+)",
        r"%%",
        r"(?P<percent>%s(?![\w$]))",
        r"(?P<named>%\((?P<name>[^()]*+)\)s(?![\w$]))",
        r"::++",
        r"(?P<colon>(?<![\w$]):(?P<key>[^\W\d]\w*+)(?![$:]))",
    )


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
