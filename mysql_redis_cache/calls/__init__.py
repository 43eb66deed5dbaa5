"""What can be asked of a client or server: each call said once, with its signature, for both faces.

A method here ends in ``self._driver.run(steps, read)`` or in a blocking call. ``MRCClient`` and ``MRCServer``
inherit it; their asynchronous twins borrow it (``aio.borrowing``), with a driver of their own or in a thread.
"""

from .asking import OneCallOptions, Windows
from .blocking import PARTS, BlockingClient, BlockingServer
from .caching import Cached, CachedCoroutine
from .decorating import Decorating, decorator
from .dropping import Dropping
from .halves import Halves
from .instant import Instant
from .lasting import Lasting
from .listing import Listing
from .pending import Pending
from .reading import Reading
from .statements import Statements
from .transaction import Transaction
from .waiting import Waiting
from .watched import Watched, watch_of

__all__ = [
    "PARTS",
    "BlockingClient",
    "BlockingServer",
    "Cached",
    "CachedCoroutine",
    "Decorating",
    "Dropping",
    "Halves",
    "Instant",
    "Lasting",
    "Listing",
    "OneCallOptions",
    "Pending",
    "Reading",
    "Statements",
    "Transaction",
    "Waiting",
    "Watched",
    "Windows",
    "decorator",
    "watch_of",
]
