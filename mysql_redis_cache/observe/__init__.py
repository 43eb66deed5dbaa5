"""What is seen of a client from outside: it counts, and decides nothing."""

from .counters import Counters
from .events import (
    Answer,
    Bypass,
    Corrupt,
    Drop,
    Event,
    Fill,
    Hit,
    LateInvalidation,
    Load,
    Loading,
    Miss,
    NearHit,
    PoolTimeout,
    PoolWait,
    ReadEvent,
    RedisDown,
    RedisUp,
    Refresh,
    RefusedFill,
    Server,
    Stale,
    StaleFound,
    Wait,
    Write,
)
from .explanation import Explanation, Holder, Room
from .listening import Events
from .queries import check_label
from .reporting import Notices, Summaries
from .stats import QueryStats, Stats
from .traces import Outcome, Trace, TracedRead
from .watch import Watch, on_each

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
    "Holder",
    "LateInvalidation",
    "Load",
    "Loading",
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
    "Server",
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
    "on_each",
]
