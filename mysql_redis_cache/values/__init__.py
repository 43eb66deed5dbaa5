"""Values: from a server's cells to rows, from values to their JSON bytes and back. Pure."""

from .codec import Between, Dates, encode_rows
from .decimals import rows_as_list
from .rows import Row

__all__ = ["Between", "Dates", "Row", "encode_rows", "rows_as_list"]
