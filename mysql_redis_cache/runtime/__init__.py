"""The process: forks, waiting that survives signals, TLS contexts. Knows no server and no cache."""

from .tls import SharedContext, advice
from .waiters import Waiters, WaitQueue

__all__ = ["SharedContext", "WaitQueue", "Waiters", "advice"]
