"""SQL texts: where their placeholders are, what may stand there, which statements may be cached. Pure."""

from .literals import GREATEST_INT, is_list, is_sendable
from .named import NamedValues, alphabetical
from .scanner import tokens
from .statements import Params, Statement, statement
from .summaries import masked, summary

__all__ = [
    "GREATEST_INT",
    "NamedValues",
    "Params",
    "Statement",
    "alphabetical",
    "is_list",
    "is_sendable",
    "masked",
    "statement",
    "summary",
    "tokens",
]
