"""Values: from a server's cells to rows, from values to their JSON bytes and back. Pure."""

from .codec import Between, Dates
from .rows import Row

__all__ = ["Between", "Dates", "Row"]
