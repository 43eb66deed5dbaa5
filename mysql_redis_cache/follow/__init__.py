"""Drops by themselves: a server's binary log is followed, and what its changes make outdated is dropped."""

from .checking import CannotFollow, Report
from .follower import Follower
from .streaming import StreamFollower

__all__ = ["CannotFollow", "Follower", "Report", "StreamFollower"]
