"""Reads through the cache: the decisions, and what carries them out. Knows both servers' wings, no driver."""

from .blocking import BlockingDriver
from .core import Core
from .functions import check_blocking_function
from .loading import uncommitted
from .reads import Query

__all__ = ["BlockingDriver", "Core", "Query", "check_blocking_function", "uncommitted"]
