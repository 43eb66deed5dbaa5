"""SQL texts: where their placeholders are, what may stand there, which statements may be cached. Pure."""

from .lists import Single, single_of
from .literals import GREATEST_INT, is_list, is_sendable
from .named import NamedValues, alphabetical
from .scanner import tokens
from .statements import Params, Statement, statement
from .summaries import masked, summary
from .targets import written_tables

__all__ = [
    "GREATEST_INT",
    "NamedValues",
    "Params",
    "Single",
    "Statement",
    "alphabetical",
    "is_list",
    "is_sendable",
    "masked",
    "single_of",
    "statement",
    "summary",
    "tokens",
    "written_tables",
]
