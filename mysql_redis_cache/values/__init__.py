"""Values: from a server's cells to rows, from values to their JSON bytes and back. Pure."""

from .codec import Between, Dates, encode_rows
from .decimals import rows_as_list
from .rows import Row
from .shapes import Shape, fitting, shape_of

__all__ = ["Between", "Dates", "Row", "Shape", "encode_rows", "fitting", "rows_as_list", "shape_of"]
