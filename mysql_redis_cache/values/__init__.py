"""Values: from a server's cells to rows, from values to their JSON bytes and back. Pure."""

from .codec import Between, Dates, encode_rows, is_plain
from .decimals import rows_as_list, rows_at
from .rows import Row
from .shapes import Misfit, Shape, fitting, shape_of
from .zones import in_zone, session_zone, zone_of

__all__ = [
    "Between",
    "Dates",
    "Misfit",
    "Row",
    "Shape",
    "encode_rows",
    "fitting",
    "in_zone",
    "is_plain",
    "rows_as_list",
    "rows_at",
    "session_zone",
    "shape_of",
    "zone_of",
]
