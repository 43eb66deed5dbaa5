"""Entries' bytes in this process, kept right by Redis's own pushes. Knows Redis, no reads and no drops."""

from .caches import NearCache, forget, join, settle
from .roll import CALL, ROLL, Sign
from .shelf import Kept

__all__ = ["CALL", "ROLL", "Kept", "NearCache", "Sign", "forget", "join", "settle"]
