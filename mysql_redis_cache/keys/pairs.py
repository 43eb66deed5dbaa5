"""Names and values as they stand in a key: ``name=text``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from .jstext import NUMBER, Plain, plain, text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NUMBER_LIST",
    "SURROGATE",
    "Tagged",
    "Tags",
    "checked_names",
    "pair_texts",
    "plain_value",
    "shown_text",
    "tag_pairs",
]

PAIR = 2

SURROGATE = re.compile("[\ud800-\udfff]")
"""What UTF-8 cannot encode: half of a UTF-16 pair."""

NUMBER_LIST = re.compile(f"{NUMBER}(?:,{NUMBER})+")
"""The text of a list of two or more numbers, and every string that reads like one."""


Tags: TypeAlias = "tuple[tuple[str, object], ...]"
Tagged: TypeAlias = "Mapping[str, object] | Sequence[tuple[str, object]] | None"
"""Tags as callers give them."""


def tag_pairs(tags: Tagged) -> Tags:
    """Return tags as pairs of name and value; a name may come twice.

    Args:
        tags: a mapping, or a list or tuple of pairs.

    Raises:
        TypeError: it is neither, or what is in it is no pair.
    """
    if tags is None:
        return ()
    pairs = list(tags.items()) if isinstance(tags, Mapping) else tags
    if not isinstance(pairs, (list, tuple)):
        raise TypeError(f"tags must be a mapping or a list of pairs, got {type(pairs).__name__}")
    for position, pair in enumerate(pairs, 1):
        if not (isinstance(pair, (list, tuple)) and len(pair) == PAIR):
            raise TypeError(f"tag {position} must be a pair (name, value)")
    names = checked_names([name for name, _ in pairs], "the name of tag")
    return tuple(zip(names, [value for _, value in pairs], strict=True))


def checked_names(names: Sequence[str], label: str = "name") -> list[str]:
    """Refuse names that no key can carry.

    Args:
        names: a list or tuple of names.
        label: how a message calls one.

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
            raise TypeError(f"{label} {position} must be a str, got {type(name).__name__}")
        if not name:
            raise ValueError(f"{label} {position} is empty; give a name, or leave it out")
        if "=" in name or SURROGATE.search(name):
            raise ValueError(
                f"{label} {position} ({name!a}) contains '=' or a lone surrogate; use plain words"
            )
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


def pair_texts(
    params: Sequence[object] | None, names: Sequence[str] | None, tags: Tags = ()
) -> tuple[str, ...]:
    """List the pairs under which a drop must find a call's entry.

    Args:
        params: the values, as for ``make_key`` (which has accepted them).
        names: the names, as for ``make_key``.
        tags: the tags, as for ``make_key``.

    Returns:
        ``"name=text"`` of each named param and each tag, and of each element where the text is a list of
        numbers; each once.
    """
    texts: dict[str, None] = {}
    for name, value in (*zip(checked_names(names or ()), params or (), strict=False), *tags):
        shown = shown_text(plain(value))
        texts[f"{name}={shown}"] = None
        if "," in shown and NUMBER_LIST.fullmatch(shown):
            texts.update(dict.fromkeys([f"{name}={number}" for number in shown.split(",")]))
    return tuple(texts)
