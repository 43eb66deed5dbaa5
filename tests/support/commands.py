"""Commands run in this process."""

from __future__ import annotations

from inspect import signature
from typing import Any

from click.testing import CliRunner

__all__ = ["runner"]


def runner() -> CliRunner:
    """What runs them with their two outputs apart, also before click 8.2."""
    apart: Any = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    return CliRunner(**apart)
