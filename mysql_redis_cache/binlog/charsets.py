"""Text in every character set of MySQL and MariaDB, as the servers themselves read it.

Python has codecs of the same names, but few agree in every byte: MySQL's latin1 fills the holes of cp1252,
its sjis has a backslash where Shift JIS has a wide one, and eucjpms, geostd8 or keybcs2 are in no codec. What
differs is written here, found by asking MySQL 9.7, MariaDB 10.11 and 11.8 for every sequence; they agree
with each other. What a server has no character for is refused, never guessed.
"""

from __future__ import annotations

import codecs
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from .chartables import COLLATIONS, MULTI_BYTE, NEC_AND_IBM, SINGLE_BYTE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["charset_of", "decoder", "shown"]

_MARIADB_ALONE = 576
_NOPAD = range(1024, 2048)
_ROW, _PRIVATE_USE = 94, 0xE000
_EUC_LEADS = frozenset([0x8E, 0x8F, *range(0xA1, 0xFF)])


@cache  # there are some 1,500 collations
def charset_of(collation: int, is_mariadb: bool) -> str | None:
    """Return the character set of a collation.

    Args:
        collation: its number.
        is_mariadb: whose number it is. Those that both have mean the same.

    Returns:
        The set's name as MySQL 9 writes it (``utf8mb3``, not ``utf8``); ``binary`` is bytes; ``None`` if the
        number is not known, as those of collations that an administrator added.
    """
    if not is_mariadb and collation >= _MARIADB_ALONE:
        return None
    number = collation - _NOPAD.start if collation in _NOPAD else collation
    return next((name for name, ranges in COLLATIONS.items() if _is_within(number, ranges)), None)


def _is_within(number: int, ranges: str) -> bool:
    bounds = [part.partition("-") for part in ranges.split()]
    return any(int(first) <= number <= int(last or first) for first, _, last in bounds)


@lru_cache(maxsize=64)
def decoder(charset: str) -> Callable[[bytes], str] | None:
    """Return the function that decodes a character set.

    Args:
        charset: its name.

    Returns:
        A function of bytes that returns the text, or raises ``ValueError`` where the server has no character
        for them; ``None`` if the set is not known, or ``binary``.
    """
    if charset in _UNICODE:
        return _UNICODE[charset]
    if charset in SINGLE_BYTE:
        table: Any = SINGLE_BYTE[charset]  # a str, which the stubs do not know of
        return lambda data: codecs.charmap_decode(data, "strict", table)[0]
    if charset in MULTI_BYTE:
        return lambda data: data.decode("ascii") if data.isascii() else _walk(charset, data)
    return None


def shown(data: bytes, collation: int | None) -> str:
    r"""Return a statement's text for people and for parsers; what does not decode is written as ``\xff``."""
    decode = decoder(charset_of(collation or 0, is_mariadb=True) or "")
    try:
        return decode(data) if decode is not None else data.decode()
    except ValueError:
        return data.decode("utf-8", "backslashreplace")


# --- Unicode -----------------------------------------------------------------------------------------------


def _ucs2(data: bytes) -> str:
    text = data.decode("utf-16-be")
    if len(text) * 2 != len(data):
        raise ValueError("ucs2 has no pairs of surrogates")
    return text


_UNICODE: dict[str, Callable[[bytes], str]] = {
    "utf8mb4": bytes.decode,
    "utf8mb3": bytes.decode,
    "utf8": bytes.decode,
    "ucs2": _ucs2,
    "utf16": lambda data: data.decode("utf-16-be"),
    "utf16le": lambda data: data.decode("utf-16-le"),
    "utf32": lambda data: data.decode("utf-32-be"),
}


# --- one to four bytes a character -------------------------------------------------------------------------


def _walk(charset: str, data: bytes) -> str:
    """Decode one character after the other, since a codec's whole text does not tell where each came from."""
    pieces = []
    position = 0
    while position < len(data):
        end = position + _width(charset, data[position : position + 2])
        pieces.append(_character(charset, data[position:end]))
        position = end
    return "".join(pieces)


def _width(charset: str, head: bytes) -> int:
    lead = head[0]
    if lead < 0x80 or (charset in {"sjis", "cp932"} and 0xA1 <= lead <= 0xDF):
        return 1
    if charset in {"ujis", "eucjpms"} and lead == 0x8F:
        return 3
    return 4 if charset == "gb18030" and b"0" <= head[1:] <= b"9" else 2


@lru_cache(maxsize=1 << 14)
def _character(charset: str, data: bytes) -> str:
    codec, exceptions = MULTI_BYTE[charset]
    if data in exceptions:
        return exceptions[data]
    if charset in {"ujis", "eucjpms"} and data[0] >= 0x80:
        found = _euc(charset, data)
        if found is not None:
            return found
    text = data.decode(codec)
    if len(text) != 1:
        raise ValueError(f"{charset} has no character for {len(data)} of the bytes")
    return text


def _euc(charset: str, data: bytes) -> str | None:
    """Decode what Japanese EUC has beyond ``euc_jp``: NEC's and IBM's characters, private use."""
    if data[0] not in _EUC_LEADS or not all(0xA1 <= byte <= 0xFE for byte in data[1:]):
        raise ValueError(f"{charset} has no character for {len(data)} of the bytes")
    planes = {1: data[:2], 2: data[1:]} if len(data) == 3 else {1: data}
    plane, (row, cell) = max(planes), planes[max(planes)]
    if row >= 0xF5:
        return chr(_PRIVATE_USE + (plane - 1) * 10 * _ROW + (row - 0xF5) * _ROW + cell - 0xA1)
    if charset == "ujis" or row == 0x8E:
        return None
    if plane == 1:
        return _by_shift_jis(row - 0xA0, cell - 0xA0)
    place = (row - 0xF3) * _ROW + cell - 0xF3
    return NEC_AND_IBM[place] if 0 <= place < len(NEC_AND_IBM) else None


def _by_shift_jis(row: int, cell: int) -> str:
    """Decode by row and cell as Windows does, whose code page has the same characters in another place."""
    lead = (row - 1) // 2 + (0x81 if row < 63 else 0xC1)
    trail = cell + (0x9E if row % 2 == 0 else 0x3F if cell < 64 else 0x40)
    return bytes([lead, trail]).decode("cp932")
