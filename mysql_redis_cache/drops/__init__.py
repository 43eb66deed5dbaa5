"""Deleting outdated entries, so that no load in flight can bring one back.

A drop revokes the leases of the entries it names and then deletes the entries. By *sweep* it walks all keys
twice: a single walk is not enough, since a value filled behind the cursor, under a lease not yet met,
would survive. With an *index* it asks Redis which entries carry the pairs.
"""

from .budget import Budget
from .dropping import DROP_TIMEOUT, Drops
from .following import Following

__all__ = ["DROP_TIMEOUT", "Budget", "Drops", "Following"]
