"""TLS, to either server: one context for many connections, and what to do where a handshake fails."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["SharedContext", "advice", "forget_errors"]

LIFE = 60.0
"""Seconds after which a context is made anew."""

# Making a context takes locks of OpenSSL's for each of the system's certificates, hundreds of times. A child
# forked meanwhile would wait for ever for one that no thread of it holds; so a fork waits for this one.
_making = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release
    )

# OpenSSL's numbers: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_OUT_OF_TIME = "the certificate is out of its time: renew it on the server, and compare the clocks"
_OTHER_HOST = "the certificate is for another host: connect to a name it holds, or have this one put into it"
_UNKNOWN = "no known authority vouches for the certificate: name the authority's file with {authority}"
_REFUSED_FOR = {
    **dict.fromkeys([9, 10], _OUT_OF_TIME),
    **dict.fromkeys([62, 64], _OTHER_HOST),
    **dict.fromkeys([2, 18, 19, 20, 21], _UNKNOWN),
}
_FAILED_FOR = {
    "WRONG_VERSION_NUMBER": "nothing at this port speaks TLS",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a certificate of the client: {certificate}",
}


class SharedContext:
    """A TLS context for many connections, since making one takes far longer than connecting.

    It is made anew every minute, so that certificates renewed on disk count without a restart.
    """

    def __init__(self) -> None:
        self._made: tuple[float, ssl.SSLContext] | None = None

    def get(self) -> ssl.SSLContext | None:
        """Return the context; ``None`` if it is time to make one, which the caller does."""
        if self._made is None:
            return None
        made_at, context = self._made
        if time.monotonic() - made_at < LIFE:
            return context
        self._made = (time.monotonic(), context)  # for the others, meanwhile
        return None

    def made(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Have what *make* returns used from now on, and return it; it does nothing but make a context."""
        with _making:
            context = make()
        self.keep(context)
        return context

    def keep(self, context: ssl.SSLContext) -> None:
        """Have *context* used from now on."""
        self._made = (time.monotonic(), context)


def forget_errors() -> None:
    """Have this thread's next TLS connection not take the blame for one that has failed; call it after that.

    OpenSSL keeps errors for each thread, and Python leaves that of a broken connection there, where a read of
    another one finds it (https://github.com/python/cpython/issues/148594). A handshake begins by clearing
    them, one with nobody does.
    """
    import ssl  # noqa: PLC0415 - who has no TLS need not load it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with suppress(OSError):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()).do_handshake()


def advice(error: BaseException, authority: str, certificate: str) -> str:
    """Return what to do if *error* comes from a TLS handshake, to be appended to its text; else nothing.

    Args:
        error: a driver's error; OpenSSL's is what it was raised from, or while handling.
        authority: the option that names the authority's certificate.
        certificate: the options that name a certificate of one's own.
    """
    for one in (error, error.__cause__, error.__context__):
        what = _REFUSED_FOR.get(getattr(one, "verify_code", 0)) or _FAILED_FOR.get(getattr(one, "reason", ""))
        if what is not None:
            return "; " + what.format(authority=authority, certificate=certificate)
    return ""
