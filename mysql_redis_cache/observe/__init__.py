"""What is seen of a client from outside: it counts, and decides nothing."""

from .counters import Counters
from .events import (
    Drop,
    Event,
    LateInvalidation,
    PoolTimeout,
    PoolWait,
    RedisDown,
    RedisUp,
    Write,
)
from .explanation import Explanation, Holder, Room
from .listening import Events
from .queries import check_label
from .read_events import (
    Answer,
    Bypass,
    Corrupt,
    Fill,
    Hit,
    Load,
    Loading,
    Miss,
    NearHit,
    ReadEvent,
    Refresh,
    RefusedFill,
    Server,
    Stale,
    StaleFound,
    Wait,
)
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
