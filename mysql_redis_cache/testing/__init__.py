"""What users' own tests need: a clean cache, one that is off, away or older, and what was asked of it.

Nothing of the package imports this. The fixtures of the pytest plugin are in ``plugin``, over what is here.
"""

from .clients import fresh_client, fresh_namespace
from .conditions import disabled, elapse, unavailable
from .fakes import fake_redis
from .recorder import Recorder, Seen, recording

__all__ = [
    "Recorder",
    "Seen",
    "disabled",
    "elapse",
    "fake_redis",
    "fresh_client",
    "fresh_namespace",
    "recording",
    "unavailable",
]
