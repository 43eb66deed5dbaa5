"""MySQL: connections, a bounded pool of them, and one execution per statement.

The only wing that imports PyMySQL and DBUtils.
"""

from .connection import Connection
from .database import Database
from .external import ExternalConnection, ExternalDatabase
from .failures import errno_of, is_answer, is_failure
from .pool import Lease, Pool
from .session import Session, WriteResult

__all__ = [
    "Connection",
    "Database",
    "ExternalConnection",
    "ExternalDatabase",
    "Lease",
    "Pool",
    "Session",
    "WriteResult",
    "errno_of",
    "is_answer",
    "is_failure",
]
