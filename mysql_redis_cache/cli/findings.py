"""What is found wrong, or well: how bad it is, what it is about, and the line to change."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Finding", "Level", "clock", "is_near", "latency", "show", "version_of"]

SLOW = 0.05
"""Seconds for a round trip from which on a cache is worth little: a read waits 0.25 s for Redis at most."""

APART = 2.0
"""Seconds between two clocks from which on a reader of logs is misled."""

_LOCAL = {"localhost", "127.0.0.1", "::1", None, ""}


class Level(IntEnum):
    """How bad a finding is."""

    OK = 0
    NOTE = 1
    WARNING = 2
    ERROR = 3


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level: how bad it is.
        about: what was looked at.
        text: what was found.
        advice: what to do, the line to change if there is one.
    """

    level: Level
    about: str
    text: str
    advice: str = ""


COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.ERROR: "red"}
WIDTH = 9


def show(findings: Iterable[Finding]) -> None:
    """Write findings, a line for each and one for its advice, with colours on a terminal."""
    colour = False if os.environ.get("NO_COLOR") else None
    for finding in findings:
        level = click.style(f"{finding.level.name.lower():<{WIDTH}}", fg=COLOURS[finding.level])
        click.echo(f"{level}{finding.about}: {finding.text}", color=colour)
        if finding.advice:
            click.echo(f"{'':{WIDTH}}→ {finding.advice}")


def is_near(url: str) -> bool:
    """Tell whether a server is on this machine, so that nobody is on the way to it."""
    parts = urlsplit(url)
    return parts.scheme == "unix" or parts.hostname in _LOCAL


def latency(about: str, times: Sequence[float]) -> Finding:
    """Judge how long round trips took, seconds each."""
    middle, worst = sorted(times)[len(times) // 2], max(times)
    text = f"a round trip takes {middle * 1000:.2f} ms, the slowest of {len(times)} {worst * 1000:.2f} ms"
    if middle < SLOW:
        return Finding(Level.OK, f"{about} latency", text)
    return Finding(Level.WARNING, f"{about} latency", text, "run it in the same zone as the application")


def clock(about: str, theirs: float, ours: float) -> Finding:
    """Judge how far a server's clock is from this machine's, in seconds since the epoch."""
    text = f"{abs(theirs - ours):.1f} s {'ahead of' if theirs > ours else 'behind'} this machine's"
    if abs(theirs - ours) < APART:
        return Finding(Level.OK, f"{about} clock", text)
    return Finding(Level.NOTE, f"{about} clock", text, "nothing here depends on it; logs do: run NTP")


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version, two of them."""
    numbers = [part for part in text.partition("-")[0].split(".")[:2] if part.isdigit()]
    return tuple(map(int, numbers))
