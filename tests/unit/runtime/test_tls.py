"""TLS contexts are made outside of forks: OpenSSL's locks would stay locked in the child."""

from __future__ import annotations

import _ssl
import ctypes
import os
import ssl
import threading

import pytest

from mysql_redis_cache.runtime import SharedContext, forget_errors
from tests.support.forks import in_child

SECONDS = 20.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_fork_waits_for_a_context_that_is_being_made() -> None:
    """And the child makes its own."""
    shared, begun, go = SharedContext(), threading.Event(), threading.Event()
    is_made: list[bool] = []

    def make() -> ssl.SSLContext:
        begun.set()
        assert go.wait(SECONDS)
        is_made.append(True)
        return ssl.create_default_context()

    maker = threading.Thread(target=shared.made, args=[make])
    maker.start()
    assert begun.wait(SECONDS)
    threading.Timer(0.2, go.set).start()

    def in_fork() -> bool:
        SharedContext().made(ssl.create_default_context)
        return bool(is_made)

    assert in_child(in_fork) is True
    maker.join(SECONDS)
    assert shared.get() is not None


def test_an_error_of_one_connection_is_not_the_next_ones() -> None:
    """OpenSSL keeps it for the thread, where any read of another connection finds it."""
    openssl = ctypes.CDLL(_ssl.__file__)
    openssl.ERR_new()
    openssl.ERR_set_error(ctypes.c_int(2), ctypes.c_int(104), None)  # ERR_LIB_SYS, ECONNRESET
    assert openssl.ERR_peek_error() != 0

    forget_errors()

    assert openssl.ERR_peek_error() == 0
