"""TLS connections that share a context: redis-py makes one for each, which takes longer than connecting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import redis
from redis import exceptions as redis_errors

from mysql_redis_cache.runtime import SharedContext

if TYPE_CHECKING:
    import ssl

__all__ = ["sharing"]


class _Sharing:
    """Goes before a TLS connection of redis-py's; its only private method used here is the same since 5.2."""

    shared: SharedContext
    host: str
    ssl_validate_ocsp: bool
    ssl_validate_ocsp_stapled: bool

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        context = self.shared.get()
        if context is not None:
            return context.wrap_socket(sock, server_hostname=self.host)
        try:
            wrapped = cast("ssl.SSLSocket", super()._wrap_socket_with_ssl(sock))  # type: ignore[misc]
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise redis_errors.ConnectionError(
                f"a file of ssl_ca_certs, ssl_certfile or ssl_keyfile cannot be read: {error.strerror}"
            ) from error
        if not (self.ssl_validate_ocsp or self.ssl_validate_ocsp_stapled):  # checked by redis-py each time
            self.shared.keep(wrapped.context)
        return wrapped


def sharing(kind: type[Any]) -> type[Any]:
    """Return a kind of connection like *kind*, all of which share one TLS context; *kind* without TLS."""
    if not (isinstance(kind, type) and issubclass(kind, redis.SSLConnection)):
        return kind
    return type(kind.__name__, (_Sharing, kind), {"shared": SharedContext()})
