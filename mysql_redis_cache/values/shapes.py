"""``into=`` and ``one=``: the form in which a caller wants what the JSON holds.

What does not fit is the caller's affair and nobody else's: it is handed on as a ``Misfit``, to be raised at
the very end, so that the entry stays, the flight lands and others get theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args

from mysql_redis_cache.errors import TooManyRows

from . import codec

if TYPE_CHECKING:
    from datetime import tzinfo

    from .codec import Between

__all__ = ["Misfit", "Shape", "fitting", "shape_of"]


Read: TypeAlias = Callable[[bytes], Any]


class Misfit(NamedTuple):
    """What did not fit, for the caller to be told."""

    error: Exception


class Shape:
    """A form that is wanted.

    Args:
        into: the class or type; None for dicts, as ``codec.decode`` makes them.
        read: makes it of JSON; None for dicts.
        one: whether the only row is wanted, and not a list.
        are_rows: whether rows are read, which may be read a part at a time.
    """

    def __init__(self, into: Any, read: Read | None, *, one: bool, are_rows: bool) -> None:
        self._into = into
        self._read = read
        self._one = one
        self._are_rows = are_rows

    def decode(self, payload: bytes, between: Between = None, are_rows: bool = False) -> object:
        """Turn JSON into the form; as ``codec.decode``, but that what does not fit is a ``Misfit``.

        Raises:
            ValueError: it is not JSON.
        """
        if self._read is None:
            value = codec.decode(payload, between, are_rows)
        else:
            value = self._typed(self._read, payload, between)
        return _only(value) if self._one else value

    def _typed(self, read: Read, payload: bytes, between: Between) -> Any:
        try:
            if between is not None and self._are_rows and len(payload) > codec.LARGE:
                return _in_parts(read, payload, between)
            return read(payload)
        except Exception as error:  # noqa: BLE001 - a class of the caller's may raise anything
            value = codec.decode(payload, None, self._are_rows)  # or it is not JSON: then nobody's misfit
            return Misfit(_explained(error, self._into, value))


def fitting(value: object) -> Any:
    """Return *value*; raise what did not fit, if it is that."""
    if type(value) is Misfit:
        raise value.error
    return value


def shape_of(into: Any, zone: tzinfo | None = None, *, one: bool = False, are_rows: bool = True) -> Shape:
    """Return the form that is asked for.

    Args:
        into: a class with the columns of the rows, the type of the only column, or None for dicts; of a
            function's value (*are_rows* is false) its type.
        zone: that of DATETIME and TIMESTAMP columns, if known.
        one: whether the only row is wanted.
        are_rows: whether rows are read.

    Raises:
        TypeError: nothing can be made of JSON in this form.
    """
    if not isinstance(one, bool):
        raise TypeError(f"one must be True or False, not {type(one).__name__}")
    if into is None:
        return _DICT if one else _DICTS
    try:
        return _kept(into, zone, one, are_rows)
    except TypeError:
        return _made(into, zone, one, are_rows)  # it cannot be kept, or not be made: that is said again


def _made(into: Any, zone: tzinfo | None, one: bool, are_rows: bool) -> Shape:
    if isinstance(into, (str, bytes)) or not (isinstance(into, type) or get_args(into)):
        raise TypeError(f"into must be a class or a type, such as Order or int, not {type(into).__name__}")
    # An import of some 25 ms, for those who want it alone.
    from . import typed  # noqa: PLC0415

    read = typed.row_reader(into, zone) if are_rows else typed.value_reader(into)
    return Shape(into, read, one=one, are_rows=are_rows)


_kept = lru_cache(maxsize=1024)(_made)
_DICTS = Shape(None, None, one=False, are_rows=True)
_DICT = Shape(None, None, one=True, are_rows=True)


def _in_parts(read: Read, payload: bytes, between: Callable[[], object]) -> list[Any]:
    """Read rows a part at a time; all at once if that fails, so that errors count the rows from the first."""
    rows: list[Any] = []
    try:
        for part in codec.parts_of(payload):
            if rows:
                between()
            rows += read(part)
    except Exception:  # noqa: BLE001 - what is wrong is found below
        return read(payload)  # type: ignore[no-any-return]
    return rows


def _only(rows: Any) -> Any:
    """Return the only row, or None."""
    if not isinstance(rows, list):
        return rows
    if len(rows) > 1:
        return Misfit(TooManyRows(len(rows)))
    return rows[0] if rows else None


def _explained(error: Exception, into: Any, value: Any) -> Exception:
    from .misfits import explained  # noqa: PLC0415 - as above

    return explained(error, into, value)
