"""What is seen of a client from outside: it counts, and decides nothing."""

from .counters import Counters
from .events import (
    Answer,
    Bypass,
    Corrupt,
    Drop,
    Event,
    Events,
    Fill,
    Hit,
    Load,
    Miss,
    NearHit,
    PoolTimeout,
    PoolWait,
    ReadEvent,
    RedisDown,
    RedisUp,
    Refresh,
    RefusedFill,
    Stale,
    StaleFound,
    Wait,
    Write,
)
from .explanation import Explanation, Room
from .queries import check_label
from .reporting import Notices, Summaries
from .stats import QueryStats, Stats
from .traces import Outcome, Trace, TracedRead
from .watch import Watch

__all__ = [
    "Answer",
    "Bypass",
    "Corrupt",
    "Counters",
    "Drop",
    "Event",
    "Events",
    "Explanation",
    "Fill",
    "Hit",
    "Load",
    "Miss",
    "NearHit",
    "Notices",
    "Outcome",
    "PoolTimeout",
    "PoolWait",
    "QueryStats",
    "ReadEvent",
    "RedisDown",
    "RedisUp",
    "Refresh",
    "RefusedFill",
    "Room",
    "Stale",
    "StaleFound",
    "Stats",
    "Summaries",
    "Trace",
    "TracedRead",
    "Wait",
    "Watch",
    "Write",
    "check_label",
]
