"""Redis: configuration, connections, commands, scripts, and entries with their leases.

The only wing, beside ``near``, that imports redis-py.
"""

from .bounds import PATIENT
from .cluster import Cluster
from .config import Link, link
from .connections import Exhausted
from .entries import Entries, Found, Name, answers, questions
from .exchange import Exchange, fits
from .failures import Moved, NotNow, Refused, Silent
from .noticeboard import Noticeboard
from .pinned import Pinned, packed
from .single import Part, Server

__all__ = [
    "PATIENT",
    "Cluster",
    "Entries",
    "Exchange",
    "Exhausted",
    "Found",
    "Link",
    "Moved",
    "Name",
    "NotNow",
    "Noticeboard",
    "Part",
    "Pinned",
    "Refused",
    "Server",
    "Silent",
    "answers",
    "fits",
    "link",
    "packed",
    "questions",
]
