"""What annotations say: the columns of a class, and which types they mention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

__all__ = ["columns_of", "is_mapping", "is_named_tuple", "is_pydantic", "is_row", "mentions", "name_of"]

# Of a class of attrs, and of a Struct of msgspec.
_MARKS = ("__attrs_attrs__", "__struct_fields__")


def is_pydantic(hint: object) -> bool:
    """Whether it is a model or dataclass of pydantic; told without importing that."""
    return isinstance(hint, type) and hasattr(hint, "__pydantic_validator__")


def is_named_tuple(hint: object) -> bool:
    """Whether it is a class of named tuples."""
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def is_mapping(hint: object) -> bool:
    """Whether it is a type of dicts."""
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Mapping)


def is_row(hint: object) -> bool:
    """Whether it has columns of its own, and is not the type of a single one."""
    kind = get_origin(hint) or hint
    return is_mapping(kind) or _has_fields(kind)


def _has_fields(kind: object) -> bool:
    if is_typeddict(kind) or is_named_tuple(kind) or is_pydantic(kind):
        return True
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or any(hasattr(kind, mark) for mark in _MARKS)
    )


def columns_of(hint: object) -> dict[str, Any]:
    """Return the columns that a class wants: the name of each, and its annotation; of other types none.

    Raises:
        NameError: an annotation names what is not defined where the class is.
    """
    kind: Any = get_origin(hint) or hint
    if not _has_fields(kind):
        return {}
    renamed = _renamed(kind)
    return {renamed.get(name, name): each for name, each in get_type_hints(kind, include_extras=True).items()}


def _renamed(kind: Any) -> dict[str, str]:
    """Return the columns that are called otherwise than their fields."""
    if is_pydantic(kind):
        fields = getattr(kind, "__pydantic_fields__", {})
        aliases = {name: field.validation_alias for name, field in fields.items()}
        return {name: alias for name, alias in aliases.items() if isinstance(alias, str)}
    names: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    return dict(zip(names, getattr(kind, "__struct_encode_fields__", names), strict=True))


def mentions(hint: object, is_meant: Callable[[object], bool], seen: frozenset[object] = frozenset()) -> bool:
    """Whether a type for which *is_meant* holds stands in an annotation, or in those of a class it names."""
    if is_meant(hint):
        return True
    if any(mentions(argument, is_meant, seen) for argument in get_args(hint)):
        return True
    kind = get_origin(hint) or hint
    if not _has_fields(kind) or kind in seen:
        return False
    return any(mentions(column, is_meant, seen | {kind}) for column in columns_of(kind).values())


def name_of(hint: object) -> str:
    """Return what an annotation is called in messages: ``Order``, ``int | None``, ``list[int]``."""
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "")
