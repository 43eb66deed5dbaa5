"""What the process servers of tests/chaos serve: a WSGI application with its client made at import.

With ``SERVED_BEFORE_FORK=used`` the client is used at import, too; with ``busy`` threads go on using it, so
that a server that loads the application before it forks its workers does so in the middle of their work.
"""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from mysql_redis_cache import MRCClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["answer", "app", "client"]

SHARED = "SELECT id, name FROM served WHERE id = ?"
OWN = "SELECT ? AS owner, ? AS number, CONNECTION_ID() AS connection"
OWN_CACHED = "SELECT ? AS owner, ? AS number"

client = MRCClient(os.environ["SERVED_MYSQL"], os.environ["SERVED_REDIS"], wait_timeout=5)
parent: dict[str, Any] = {}


def answer(number: int) -> dict[str, Any]:
    """Read in every way, and tell who answers over which connections."""
    me = os.getpid()
    own, *many = client.query_many_with_cache(
        [(OWN_CACHED, [me, number + step], ["Owner", "Number"]) for step in range(3)], 60
    )
    return {
        "pid": me,
        "number": number,
        "shared": client.query_with_cache(SHARED, [number % 10], ["ServedId"], 60),
        "direct": client.query(OWN, [me, number]),
        "own": own,
        "many": many,
        "redis": client._core.links[0].call(b"CLIENT", b"ID"),
        "parent": parent,
    }


def rename(number: int) -> dict[str, Any]:
    """Write, and drop what it makes outdated."""
    name = uuid.uuid4().hex
    client.execute("UPDATE served SET name = ? WHERE id = ?", [name, number])
    client.drop_outdated_cache(["ServedId"], [number])
    return {"name": name}


def cold(number: int) -> dict[str, Any]:
    """Load what takes a while, which all processes ask for at once."""

    def load() -> str:
        time.sleep(0.2)
        return uuid.uuid4().hex

    return {"pid": os.getpid(), "value": client.with_cache(load, "cold", [number], ["Cold"], 60)}


def background(number: int) -> dict[str, Any]:
    """Tell whether work behind a reader's back gets done in this process."""
    done = threading.Event()
    client._core.background.submit(number, done.set)
    return {"pid": os.getpid(), "done": done.wait(2)}


VIEWS: dict[str, Callable[[int], dict[str, Any]]] = {
    "/answer": answer,
    "/rename": rename,
    "/cold": cold,
    "/background": background,
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request with JSON; what fails says why."""
    number = int(parse_qs(environ["QUERY_STRING"])["number"][0])
    try:
        body, status = json.dumps(VIEWS[environ["PATH_INFO"]](number)), "200 OK"
    except Exception:
        body, status = traceback.format_exc(), "500 Internal Server Error"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]


def keep_busy(number: int) -> None:
    """Use the client as long as this process lives: read, load slowly, drop."""
    me = os.getpid()
    while True:
        try:
            assert answer(number)["direct"][0]["owner"] == me
            client.with_cache(lambda: time.sleep(0.02), "slow", [number], ["Busy"], 60)
            client.drop_outdated_cache(["Busy"], [number])
            time.sleep(0.03)  # the server wants some of the processor, too
        except Exception:
            traceback.print_exc()  # the tests look for it in the log


def use() -> None:
    """Use the client before the fork."""
    first = answer(0)
    parent.update(pid=os.getpid(), connection=first["direct"][0]["connection"], redis=first["redis"])


def use_on() -> None:
    """Use it in threads, too."""
    for number in (1, 2):
        threading.Thread(target=keep_busy, args=(number,), daemon=True).start()
    time.sleep(0.05)  # so that the fork comes in the middle of it


if os.environ["SERVED_BEFORE_FORK"] in {"used", "busy"}:
    use()
if os.environ["SERVED_BEFORE_FORK"] == "busy":
    use_on()
