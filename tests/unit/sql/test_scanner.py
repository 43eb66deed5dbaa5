"""Property tests of the scanner on random SQL of quotes, escapes and comments, against two views of its own.

One view knows what it built: pieces whose placeholders are known by construction. The other is a plain loop
over characters, written from the manual, that shares no code with the scanner's regular expressions.
"""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mysql_redis_cache.sql.scanner import Mode, Plan, scans, tokens
from mysql_redis_cache.sql.statements import Statement

MODES: tuple[Mode, ...] = ("default", "ansi_quotes", "no_backslash_escapes")
BIND_ARGUMENTS: dict[Mode, dict[str, bool]] = {
    "default": {},
    "ansi_quotes": {"ansi_quotes": True},
    "no_backslash_escapes": {"no_backslash_escapes": True},
}
every_mode = pytest.mark.parametrize("mode", MODES)

SIGNS = "'\"`\\?#-/*!+Ma%s \n\t\x7f(),;.@"
UNITS = [*SIGNS, "*/", "/*", "/*!", "/*+", "/*M!", "-- ", "--", "''", '""', "\\'", '\\"', "??"]
soup = st.text(SIGNS, max_size=30)
texts = st.lists(st.sampled_from(UNITS), max_size=40).map("".join)
one_name = st.text(SIGNS.replace(".", ""), min_size=1, max_size=30)
unhurried = settings(deadline=None)  # the machine may be busy


def positional(text: str, mode: Mode) -> Plan:
    return scans(text)[mode].positional


def escapes(quote: str, mode: Mode) -> bool:
    return mode != "no_backslash_escapes" if quote == "'" else quote == '"' and mode == "default"


def quote_with(quote: str, content: str, mode: Mode) -> str:
    if escapes(quote, mode):
        content = content.replace("\\", "\\\\")
    return quote + content.replace(quote, quote * 2) + quote


def quoted(mode: Mode) -> st.SearchStrategy[str]:
    doubled = st.builds(quote_with, st.sampled_from("'\"`"), soup, st.just(mode))
    escaped = st.lists(st.sampled_from(["\\'", '\\"', "\\\\", "\\?", "\\\n", "?", "a", "--", "/*"])).map(
        "".join
    )
    if mode == "no_backslash_escapes":
        return doubled
    return doubled | escaped.map(lambda content: f"'{content}'")


def comment() -> st.SearchStrategy[str]:
    line = soup.map(lambda text: text.replace("\n", " ") + "\n")
    block = soup.filter(lambda text: "*/" not in text)
    return (
        line.map("# {}".format)
        | st.tuples(st.sampled_from([" ", "\t", "\x7f", "\x01"]), line).map(
            lambda parts: "--{}{}".format(*parts)
        )
        | block.map("/* {} */".format)
    )


code = st.sampled_from(["a", "5--1", "a-1", "a/b", "f(a)", "t.n", "-", "%", "%%", "=", ",", "a*b", "ä"])
Pieces = list[tuple[str, int]]


def pieces(mode: Mode) -> st.SearchStrategy[Pieces]:
    """Texts, each with the length of the placeholder it is, or 0."""
    text = (code | quoted(mode) | comment()).map(lambda piece: (piece, 0))
    mark = st.sampled_from([("?", 1), ("??", 2)])
    plain = st.lists(text | mark, max_size=8)
    around = st.sampled_from(["/*!", "/*!50000", "/*M!", "/*M!100100", "/*+"])
    wrapped = st.builds(lambda start, inner: [(start, 0), *inner, ("*/", 0)], around, plain)
    return st.lists(plain | wrapped, max_size=3).map(
        lambda parts: [piece for part in parts for piece in part]
    )


def assemble(parts: Pieces) -> tuple[str, list[tuple[int, int]]]:
    """The text, with a space between any two pieces, and the places of its placeholders."""
    text, places = "", []
    for piece, length in parts:
        if length:
            places.append((len(text), len(text) + length))
        text += piece + " "
    return text, places


@every_mode
@unhurried
@given(data=st.data())
def test_finds_the_placeholders_that_were_put_in(mode: Mode, data: st.DataObject) -> None:
    """What stands in quotes and comments is text, all else counts, wherever it is."""
    text, places = assemble(data.draw(pieces(mode)))

    assert places == [(slot.start, slot.end) for slot in positional(text, mode).slots]


@every_mode
@unhurried
@given(data=st.data())
def test_finds_the_placeholders_of_pymysql_that_were_put_in(mode: Mode, data: st.DataObject) -> None:
    """``%s`` and ``%(name)s`` count where a question mark would, each for a plan of its own."""
    signs = st.sampled_from(["%s", "%(a)s", "%(b c)s"])
    parts = [(data.draw(signs) if length else text, length) for text, length in data.draw(pieces(mode))]
    text, _ = assemble(parts)
    starts = [len(assemble(parts[:place])[0]) for place in range(len(parts))]
    spans = [
        (start, start + len(sign)) for (sign, length), start in zip(parts, starts, strict=True) if length
    ]
    scan = scans(text)[mode]

    assert [span for span in spans if text[slice(*span)] == "%s"] == [
        (slot.start, slot.end) for slot in scan.positional.slots
    ]
    named = [(slot.start, slot.end) for slot in scan.named.slots]
    assert [span for span in spans if text[slice(*span)] != "%s"] == named
    assert [text[start + 2 : end - 2] for start, end in named] == list(scan.named.names)


def expected_marks(text: str, mode: Mode) -> list[tuple[int, int]]:
    """Runs of question marks outside quotes and comments, by a loop over the characters."""
    marks, position, depth = [], 0, 0
    while position < len(text):
        start, character = position, text[position]
        if depth and text.startswith("*/", position):
            position, depth = position + 2, depth - 1
        elif character in "'\"`":
            position = after_quote(text, position, escapes(character, mode))
        elif comment_starts(text, position):
            position = after_comment(text, position)
        elif character == "?":
            while text[position : position + 1] == "?":
                position += 1
            marks.append((start, position))
        else:
            depth += text.startswith(("/*!", "/*+", "/*M!"), position)
            position += 2 if text.startswith("/*", position) else 1
    return marks


def after_quote(text: str, position: int, has_escapes: bool) -> int:
    quote = text[position]
    position += 1
    while position < len(text):
        if has_escapes and text[position] == "\\":
            position += 2
        elif text[position] == quote:
            return position + 1
        else:
            position += 1
    return len(text)


def comment_starts(text: str, position: int) -> bool:
    rest = text[position : position + 4]
    if rest.startswith("--"):
        return len(rest) == 2 or rest[2] <= " " or rest[2] == "\x7f"
    return rest.startswith("#") or (rest.startswith("/*") and not rest[2:].startswith(("!", "+", "M!")))


def after_comment(text: str, position: int) -> int:
    ending, skip = ("*/", 2) if text[position] == "/" else ("\n", 1)
    end = text.find(ending, position + skip)
    return len(text) if end < 0 else end + len(ending)


@every_mode
@unhurried
@given(text=texts)
def test_agrees_with_a_loop_over_the_characters(mode: Mode, text: str) -> None:
    """Whatever the text, well-formed or not, both find the same marks."""
    assume("%s" not in text)

    assert expected_marks(text, mode) == [(slot.start, slot.end) for slot in positional(text, mode).slots]


@every_mode
@unhurried
@given(text=texts)
def test_loses_nothing_of_the_text(mode: Mode, text: str) -> None:
    """The pieces with the placeholders back in their gaps are the text."""
    plan = positional(text, mode)._replace(form="?")
    parts = plan.pieces(text)
    parts[1::2] = [text[slot.start : slot.end] for slot in plan.slots]

    assert text == "".join(parts)


@every_mode
@unhurried
@given(data=st.data())
def test_a_value_is_one_word_of_the_statement_whatever_it_holds(mode: Mode, data: st.DataObject) -> None:
    """With any texts for values, the bound SQL has the words that it has with harmless ones: no injection."""
    text, places = assemble([("SELECT", 0), *data.draw(pieces(mode))])
    slots = positional(text, mode).slots
    values = [data.draw(soup if end - start == 1 else one_name) for start, end in places]
    for slot, value in zip(slots, values, strict=True):
        assume(not (slot.is_guarded and ("*/" in value or "/*" in value)))

    harmless = Statement(text).bind(["x"] * len(places), **BIND_ARGUMENTS[mode])
    bound = Statement(text).bind(values, **BIND_ARGUMENTS[mode])

    assert [word for _, word in tokens(harmless, mode)] == [word for _, word in tokens(bound, mode)]


@unhurried
@given(text=texts.filter(str.strip))
def test_any_text_has_a_verdict(text: str) -> None:
    """Malformed SQL is judged like any other: nothing but a refusal or none comes out."""
    refusal = Statement(text).refusal

    assert refusal is None or refusal.startswith("it ")


@pytest.mark.parametrize("unit", ["'\\", "/*", "/*!", "; ", "((", '"', "-- ", "?", "@", "1.", "`a", "FOR "])
def test_takes_linear_time_on_hostile_texts(unit: str) -> None:
    """A megabyte of what could make a regular expression go back and forth is scanned and judged at once."""
    hostile = Statement("SELECT " + unit * (200_000 // len(unit)))

    assert hostile.placeholders <= 1
    assert hostile.refusal is None or hostile.refusal
