"""A Redis in the test's own process, by the package ``fakeredis``."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fake_redis"]

# It shares the interpreter with the test, and a busy machine with others.
PATIENCE = "socket_timeout=10&socket_connect_timeout=10"


@contextmanager
def fake_redis() -> Iterator[str]:
    """Start a fake Redis on a free port of this machine; gives its URL.

    It needs ``pip install "fakeredis[lua]"``. It has no near cache, replicas, Cluster or Sentinel.
    """
    missing = [name for name in ("fakeredis", "lupa") if find_spec(name) is None]  # lupa runs the scripts
    if missing:
        raise ImportError(f'fake_redis() needs {" and ".join(missing)}: pip install "fakeredis[lua]"')
    server: Any = import_module("fakeredis").TcpFakeServer(("127.0.0.1", 0))
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0?{PATIENCE}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
