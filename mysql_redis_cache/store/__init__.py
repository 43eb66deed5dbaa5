"""Redis itself: configuration, connections, commands. The only room that knows redis-py's ordinary client."""

from .bounds import PATIENT
from .cluster import Cluster
from .config import Link, link
from .single import Moved, Part, Pinned, Refused, Server, Silent

__all__ = ["PATIENT", "Cluster", "Link", "Moved", "Part", "Pinned", "Refused", "Server", "Silent", "link"]
