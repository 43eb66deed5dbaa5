"""The binary log of MySQL and MariaDB: bytes become events, and nothing passes in silence. Pure.

What is not understood is an event too, ``Unknown`` or ``OpaqueRows``: whoever depends on the log can act.
"""

from .declared import Declared
from .events import Event, Header, Unknown
from .reader import Reader
from .spellings import Undecodable, spellings
from .tables import Wanted

__all__ = ["Declared", "Event", "Header", "Reader", "Undecodable", "Unknown", "Wanted", "spellings"]
