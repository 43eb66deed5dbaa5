"""When a value's text is ambiguous, and a text of the params that never is.

A key shows JavaScript's text of each value. Two values may have one text (``None`` and ``'null'``), and a
string may read as two pairs. The params of such a call are *folded*: their canonical JSON, types included,
goes into the key's digest.
"""

from __future__ import annotations

import math
from decimal import Decimal
from json.encoder import encode_basestring as quoted
from operator import itemgetter

from .jstext import Plain, text
from .pairs import NUMBER_LIST, SURROGATE

__all__ = ["WORDS", "canonical_json", "folds"]

WORDS = frozenset(("null", "true", "false", "undefined", "NaN", "Infinity", "-Infinity"))
"""Texts of values that are no strings; ``undefined`` is Node's own."""

_NUMBERS = frozenset((int, float, Decimal))


def folds(value: Plain, marks: tuple[str, ...]) -> bool:
    """Tell whether a value's text is ambiguous.

    Args:
        value: what ``jstext.plain`` returned.
        marks: ``_{name}=`` of each name of the call.

    Returns:
        Whether a value that is not equal has the same text, or the text reads as several pairs.
    """
    if type(value) is str:
        return _string_folds(value, marks)
    if type(value) is float:
        return _is_large(value)
    if type(value) is list:
        return not _is_number_list(value) or any(map(_is_large, value))
    return type(value) is bytes or type(value) is dict


def _string_folds(value: str, marks: tuple[str, ...]) -> bool:
    if value in WORDS or ("," in value and NUMBER_LIST.fullmatch(value)):
        return True
    if "=" in value and any(mark in value for mark in marks):
        return True
    return not value.isascii() and SURROGATE.search(value) is not None


def _is_number_list(value: list[Plain]) -> bool:
    return {type(item) for item in value} <= _NUMBERS


def _is_large(value: Plain) -> bool:
    # From 2^53 up JavaScript writes zeros for digits it leaves out, and an int may really have those zeros.
    return isinstance(value, float) and 2**53 <= abs(value) < math.inf


def canonical_json(values: list[Plain]) -> str:
    """Write params so that two lists have one text only if they are equal.

    A param that is a number counts as the string of its digits, as in an unfolded key. Inside a list or dict
    the two stay apart, since ``IN (1, 'a')`` and ``IN ('1', 'a')`` are different questions.

    Args:
        values: what ``jstext.plain`` returned for each param.

    Returns:
        The JSON text. It may hold lone surrogates.
    """
    return f"[{','.join([_param(value) for value in values])}]"


def _param(value: Plain) -> str:
    if type(value) is str:
        return quoted(value)
    if type(value) is int:
        return f'"{value}"'
    if isinstance(value, list) and len(value) == 1 and _is_number_list(value):
        return _param(value[0])  # IN (1) asks what = 1 asks, and has the same text
    if type(value) not in _NUMBERS or _is_large(value):
        return _typed(value)
    written = text(value)
    return _typed(value) if written in WORDS else f'"{written}"'


def _typed(value: Plain) -> str:
    # What is no string, bool, None or list is an object whose one key is its type: no two types write alike.
    if isinstance(value, str):
        return quoted(value)  # which leaves what is not ASCII, so that 😀 and its two halves stay apart
    if value is None or isinstance(value, bool):
        return text(value)
    if isinstance(value, list):
        return f"[{','.join([_typed(item) for item in value])}]"
    if isinstance(value, dict):
        items = [f"{quoted(key)}:{_typed(item)}" for key, item in sorted(value.items(), key=_key)]
        return f'{{"dict":{{{",".join(items)}}}}}'
    if isinstance(value, bytes):
        return f'{{"bytes":"{value.hex()}"}}'
    kind = "float" if _is_large(value) else "number"
    return f'{{"{kind}":"{text(value)}"}}'


_key = itemgetter(0)
