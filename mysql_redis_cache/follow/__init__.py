"""The binary log, read as a replica would: bytes become events, and nothing passes in silence.

The only wing that reads binary logs. Reading is pure; ``stream.py`` alone has a connection.
"""

from .declared import Declared
from .events import Event, Header, Unknown
from .reader import Reader
from .spellings import Undecodable, spellings
from .tables import Wanted

__all__ = ["Declared", "Event", "Header", "Reader", "Undecodable", "Unknown", "Wanted", "spellings"]
