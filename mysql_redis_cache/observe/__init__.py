"""What is seen of a client from outside: it counts, and decides nothing."""

from .counters import Counters

__all__ = ["Counters"]
