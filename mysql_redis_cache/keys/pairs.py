"""Names and values as they stand in a key: ``name=text``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .jstext import NUMBER, Plain, plain, text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NUMBER_LIST", "SURROGATE", "checked_names", "pair_texts", "plain_value", "shown_text"]

SURROGATE = re.compile("[\ud800-\udfff]")
"""What UTF-8 cannot encode: half of a UTF-16 pair."""

NUMBER_LIST = re.compile(f"{NUMBER}(?:,{NUMBER})+")
"""The text of a list of two or more numbers, and every string that reads like one."""


def checked_names(names: Sequence[str]) -> list[str]:
    """Refuse names that no key can carry.

    Args:
        names: a list or tuple of names.

    Returns:
        The names, a subclass of str (a ``StrEnum`` member, say) as the str that it is.

    Raises:
        TypeError: *names* is no list or tuple, or a name no str.
        ValueError: a name is empty, or contains ``=`` or a lone surrogate.
    """
    if not isinstance(names, (list, tuple)):
        raise TypeError(f"names must be a list or tuple of str, got {type(names).__name__}")
    for position, name in enumerate(names, 1):
        if not isinstance(name, str):
            raise TypeError(f"name {position} must be a str, got {type(name).__name__}")
        if not name:
            raise ValueError(f"name {position} is empty; name the param, or leave it out of the names")
        if "=" in name or SURROGATE.search(name):
            raise ValueError(f"name {position} ({name!a}) contains '=' or a lone surrogate; use plain words")
    return [str.__str__(name) for name in names]


def plain_value(value: object, label: str) -> Plain:
    """Reduce one value with ``jstext.plain``, and say in its errors which one it was.

    Args:
        value: the value.
        label: how a message calls it, such as ``"param 1 (UserId)"``.

    Returns:
        The plain value.

    Raises:
        TypeError: the value has no text in a key.
        ValueError: an empty list, a Decimal that is not finite, nesting that Python cannot follow.
    """
    try:
        reduced = plain(value)
    except TypeError as error:
        raise TypeError(f"{label} {error}") from None
    except ValueError as error:
        raise ValueError(f"{label} {error}") from None
    except RecursionError:
        raise ValueError(f"{label} is nested too deeply, or contains itself") from None
    if reduced == []:
        raise ValueError(f"{label} is an empty list; IN () is no SQL, and there is nothing to find")
    return reduced


def shown_text(value: Plain) -> str:
    """Write a plain value as it stands in a key: JavaScript's text, lone surrogates as U+FFFD."""
    shown = value if type(value) is str else text(value)
    return shown if shown.isascii() else SURROGATE.sub("\ufffd", shown)


def pair_texts(params: Sequence[object] | None, names: Sequence[str] | None) -> tuple[str, ...]:
    """List the pairs under which a drop must find a call's entry.

    Args:
        params: the values, as for ``make_key`` (which has accepted them).
        names: the names, as for ``make_key``.

    Returns:
        ``"name=text"`` of each named param, and of each element where the text is a list of numbers;
        each once.
    """
    texts: dict[str, None] = {}
    for name, value in zip(checked_names(names or ()), params or (), strict=False):
        shown = shown_text(plain(value))
        texts[f"{name}={shown}"] = None
        if "," in shown and NUMBER_LIST.fullmatch(shown):
            texts.update(dict.fromkeys([f"{name}={number}" for number in shown.split(",")]))
    return tuple(texts)
