"""The keys of ``top``, one by one as they are pressed."""

from __future__ import annotations

import os
import select
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Keyboard"]

ORDERS = {"r": "reads", "h": "ratio", "l": "loads", "m": "mean", "w": "worst"}
END = {"q", "\x03", "\x04", ""}


class Keyboard:
    """What the keys have said so far. The terminal gives keys at once inside the block.

    Args:
        order: what queries are sorted by at first.

    Attributes:
        order: what they are sorted by.
        words: which of them are shown: those with these words.
        shows_processes: whether processes are shown, not queries.
        is_over: whether it is to end.
    """

    def __init__(self, order: str) -> None:
        self.order, self.words, self.is_over = order, "", False
        self.shows_processes = False
        self._is_typing = False
        self._termios: Any = None
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        try:
            self._termios = import_module("termios")
        except ModuleNotFoundError:
            raise click.UsageError("top needs a terminal of Unix; mrc stats --interval 2 does not") from None
        self._before = self._termios.tcgetattr(sys.stdin)
        import_module("tty").setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._termios.tcsetattr(sys.stdin, self._termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> bool:
        """Wait for a key, and take it; return whether none came in time."""
        descriptor = sys.stdin.fileno()
        if not select.select([descriptor], [], [], seconds)[0]:
            return True
        for key in os.read(descriptor, 100).decode("utf-8", "ignore") or [""]:
            self.take(key)
        return False

    def take(self, key: str) -> None:
        """Do what a key says."""
        if self._is_typing:
            self._type(key)
        elif key in END:
            self.is_over = True
        elif key == "/":
            self._is_typing, self.words, self.shows_processes = True, "", False
        elif key == "p":
            self.shows_processes = not self.shows_processes
        else:
            self.order = ORDERS.get(key, self.order)

    def _type(self, key: str) -> None:
        if key in {"\n", "\r", "\x1b"}:
            self._is_typing = False
        elif key in {"\x7f", "\b"}:
            self.words = self.words[:-1]
        elif key.isprintable():
            self.words += key

    @property
    def prompt(self) -> str:
        """What the last line of the screen says."""
        if self._is_typing:
            return f"/{self.words}_"
        shown = f"  showing {self.words!r}" if self.words else ""
        other = "queries" if self.shows_processes else "processes"
        return f"r h l m w sort   / words   p {other}   q end{shown}"
