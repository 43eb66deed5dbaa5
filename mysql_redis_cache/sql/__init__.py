"""SQL texts: where their placeholders are, what may stand there, which statements may be cached. Pure."""

from .scanner import tokens
from .statements import Statement, statement

__all__ = ["Statement", "statement", "tokens"]
