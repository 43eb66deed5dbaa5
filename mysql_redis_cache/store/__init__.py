"""Redis itself: configuration, connections, commands. The only room that knows redis-py's ordinary client."""

from .config import Link, link
from .single import Pinned, Refused, Server

__all__ = ["Link", "Pinned", "Refused", "Server", "link"]
