"""Values in the form that each side reads them, for comparison."""

from __future__ import annotations

from typing import Any


def as_node(value: Any) -> Any:
    """What JSON.parse gives for a stored value: every number a double, bytes in the JSON form of a Buffer."""
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            return float(value)
        case bytes():
            return {"type": "Buffer", "data": as_node(list(value))}
        case list():
            return [as_node(part) for part in value]
        case _:
            return {name: as_node(part) for name, part in value.items()}


def as_python(value: Any) -> Any:
    """A value but for the type of its whole numbers: npm writes 5.0 as 5, so Python reads an int."""
    match value:
        case float() if value.is_integer() and repr(value) != "-0.0":
            return int(value)
        case list():
            return [as_python(part) for part in value]
        case dict():
            return {name: as_python(part) for name, part in value.items()}
        case _:
            return value
