"""Drops by themselves: a server's binary log is followed, and what its changes make outdated is dropped."""
