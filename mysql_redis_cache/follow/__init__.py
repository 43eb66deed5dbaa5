"""Drops by themselves: a server's binary log is followed, and what its changes make outdated is dropped."""

from .checking import CannotFollow, Report
from .follower import Follower

__all__ = ["CannotFollow", "Follower", "Report"]
