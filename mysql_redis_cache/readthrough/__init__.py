"""Reads through the cache: the decisions, and what carries them out. Knows both servers' wings, no driver."""

from .core import Core

__all__ = ["Core"]
