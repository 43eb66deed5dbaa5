"""A Redis master with replicas, watched by three sentinels."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

import redis
from redis.sentinel import Sentinel

from tests.support.cluster import eventually
from tools.private_servers import PrivateRedis

__all__ = ["SERVICE", "PrivateSentinel", "PrivateSentinels"]

SERVICE = "shop"


class PrivateSentinel(PrivateRedis):
    """A throwaway sentinel.

    Args:
        watched: port of the master.
        host: by which it is known.
    """

    def __init__(self, watched: int, host: str = "127.0.0.1") -> None:
        super().__init__()
        self._watched = watched
        self._host = host

    def prepare(self) -> None:
        """Write its configuration, in which it keeps what it knows."""
        (self.folder / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"
            f"sentinel monitor {SERVICE} {self._host} {self._watched} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 400\n"
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )

    def arguments(self) -> list[str]:
        """Everything is in the file."""
        return [str(self.folder / "sentinel.conf"), "--sentinel"]


class PrivateSentinels:
    """Three servers and three sentinels; use it as a context manager."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.servers: list[PrivateRedis] = []
        self.sentinels: list[PrivateSentinel] = []

    def __enter__(self) -> Self:
        """Start them and wait until they know each other."""
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """End them."""
        self._stack.close()

    def _start(self) -> None:
        start = self._stack.enter_context
        options = ["--repl-diskless-sync-delay", "0"]
        self.servers = [start(PrivateRedis(options))]
        master = self.servers[0].port
        for _ in range(2):
            self.servers.append(start(PrivateRedis([*options, "--replicaof", "127.0.0.1", str(master)])))
        self.sentinels = [start(PrivateSentinel(master)) for _ in range(3)]
        eventually(lambda: all(self._known(port) == (2, 2) for port in self._ports()), "acquaintance")

    def client(self, sentinel_kwargs: dict[str, Any] | None = None, **options: Any) -> redis.Redis:
        """A master client as a user makes it."""
        addresses = [("127.0.0.1", port) for port in self._ports()]
        return Sentinel(addresses, sentinel_kwargs=sentinel_kwargs).master_for(SERVICE, **options)

    @property
    def master(self) -> PrivateRedis:
        """The server that the last sentinel calls the master."""
        return self._named()[-1]

    def _named(self) -> list[PrivateRedis]:
        """The servers that the sentinels, each for itself, call the master."""
        named = []
        for each in self._ports():
            with redis.Redis(port=each, protocol=2) as sentinel:
                _, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            named.append(next(server for server in self.servers if server.port == int(port)))
        return named

    def calm(self) -> None:
        """Have them take nobody for dead any more who is only slow, as all are on a busy machine."""
        for each in self._ports():
            with redis.Redis(port=each) as sentinel:
                sentinel.execute_command("SENTINEL", "SET", SERVICE, "down-after-milliseconds", 60_000)

    def fail_over(self) -> PrivateRedis:
        """Have the sentinels make another server the master, in order; return it."""
        before = self.master
        with redis.Redis(port=self._ports()[0]) as sentinel:
            eventually(lambda: sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE), "a good moment")
        return self.await_master_other_than(before)

    def await_master_other_than(self, before: PrivateRedis) -> PrivateRedis:
        """Wait until all sentinels name another master than *before*, and it takes writes."""
        eventually(lambda: before not in (named := self._named()) and len({*named}) == 1, "the failover")
        with redis.Redis(port=self.master.port) as client:
            eventually(lambda: client.set("mrc:test", "x", px=1), "writing")
        return self.master

    def _ports(self) -> list[int]:
        return [sentinel.port for sentinel in self.sentinels]

    def _known(self, port: int) -> tuple[int, int]:
        with redis.Redis(port=port) as sentinel:
            state = sentinel.sentinel_masters()[SERVICE]
        return state["num-slaves"], state["num-other-sentinels"]
