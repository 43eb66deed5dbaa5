"""The app ``mysql_redis_cache.contrib.django``: clients from the settings, over Django's own connections.

``client`` is that of ``MRC["default"]``, ``async_client`` the same for coroutines, ``clients[alias]`` any
other. All may be used at import, by decorators: the settings are asked when something is read or dropped.
"""

from .clients import async_client, client, clients
from .connection import drops_failed
from .drops import drops

drop_on_commit = client.drop_on_commit

__all__ = ["async_client", "client", "clients", "drop_on_commit", "drops", "drops_failed"]
