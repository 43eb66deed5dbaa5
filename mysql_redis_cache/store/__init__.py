"""Redis: configuration, connections, commands, scripts, and entries with their leases.

The only wing, beside ``near``, that imports redis-py.
"""

from .bounds import PATIENT
from .cluster import Cluster
from .config import Link, link
from .connections import Exhausted
from .entries import Entries, Found, Name
from .single import Moved, Part, Pinned, Refused, Server, Silent

__all__ = [
    "PATIENT",
    "Cluster",
    "Entries",
    "Exhausted",
    "Found",
    "Link",
    "Moved",
    "Name",
    "Part",
    "Pinned",
    "Refused",
    "Server",
    "Silent",
    "link",
]
