"""The npm package as a process, driven line by line: `peer.mjs` is the other end."""

from __future__ import annotations

import json
import math
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
OLDEST_NODE = (18, 19, 0)  # the `engines` field of redis 5.12.1
INSTALL_TIMEOUT = 180.0  # seconds
CALL_TIMEOUT = 20.0  # seconds; peer.mjs gives up on a call after 10
EXIT_TIMEOUT = 5.0  # seconds


class PeerError(Exception):
    """The npm package rejected a call; the message is its own."""


class Undefined:
    """JavaScript's `undefined`, of which there is one."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


@dataclass(frozen=True)
class Date:
    """A JavaScript Date by its ISO text, None for an Invalid Date."""

    iso: str | None


@dataclass(frozen=True)
class BigInt:
    """A JavaScript BigInt, whose `String()` has every digit."""

    value: int


class Call(NamedTuple):
    """One call of the peer, for a batch."""

    method: str
    args: tuple[object, ...]


def tag(value: object) -> object:
    """Write *value* so that `peer.mjs` makes the JavaScript value of it."""
    match value:
        case Undefined():
            return {"$": "undefined"}
        case Date(iso):
            return {"$": "Date", "iso": iso}
        case BigInt(number):
            return {"$": "bigint", "v": str(number)}
        case bytes():
            return {"$": "Buffer", "hex": value.hex()}
        case float() if not math.isfinite(value):
            return {"$": "number", "v": str(value).replace("inf", "Infinity").replace("nan", "NaN")}
        case list() | tuple():
            return [tag(part) for part in value]
        case dict():
            parts = {name: tag(part) for name, part in value.items()}
            return {"$": "object", "v": parts} if "$" in parts else parts
        case _:
            return value


def untag(value: Any) -> Any:
    """Read what `peer.mjs` wrote: a Buffer as bytes, a Date as `Date`, -0 as -0.0, and so on."""
    match value:
        case {"$": "undefined"}:
            return UNDEFINED
        case {"$": "Date", "iso": iso}:
            return Date(iso)
        case {"$": "Buffer", "hex": digits}:
            return bytes.fromhex(digits)
        case {"$": "bigint", "v": digits}:
            return BigInt(int(digits))
        case {"$": "number", "v": text}:
            return float(text)
        case {"$": "object", "v": parts}:
            return {name: untag(part) for name, part in parts.items()}
        case dict():
            return {name: untag(part) for name, part in value.items()}
        case list():
            return [untag(part) for part in value]
        case _:
            return value


def why_node_is_missing() -> str | None:
    """One line that says why the npm package cannot run here, None if it can."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not on the PATH"
    answer = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30, check=False)
    numbers = tuple(int(digits) for digits in re.findall(r"\d+", answer.stdout)[:3])
    if numbers >= OLDEST_NODE:
        return None
    return f"node {answer.stdout.strip()} is older than {'.'.join(map(str, OLDEST_NODE))}"


def _locked(lock_file: Path) -> dict[str, str]:
    packages = json.loads(lock_file.read_text())["packages"] if lock_file.exists() else {}
    return {path: package["integrity"] for path, package in packages.items() if path}


def install() -> None:
    """Make `node_modules` what the lock file says, unless it is that already."""
    if _locked(HERE / "package-lock.json") == _locked(HERE / "node_modules" / ".package-lock.json"):
        return
    answer = subprocess.run(
        ["npm", "ci", "--no-progress"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"npm ci failed in {HERE}:\n{answer.stdout}{answer.stderr}")


def mysql_options(url: str) -> dict[str, object]:
    """The mysql2 options for a `mysql://` URL, with its percent-encoded parts decoded."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")),
        "connectTimeout": 5000,
    }


class Peer:
    """A node process with one MRCClient and one MRCServer of the npm package, at TZ=UTC."""

    def __init__(self) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, closed by close()
        self._process = subprocess.Popen(
            ["node", "peer.mjs"],
            cwd=HERE,
            env=os.environ | {"TZ": "UTC"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            encoding="utf-8",
        )
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()  # "" when the process has ended
        self._reader = threading.Thread(target=self._read, name="npm-peer", daemon=True)
        self._reader.start()
        self._last_id = 0
        self._servers: tuple[str, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self, mysql_url: str, redis_url: str) -> None:
        """Use these servers from now on; nothing is done if they are in use already."""
        if self._servers == (mysql_url, redis_url):
            return
        self.call("disconnect")
        self.call("connect", mysql_options(mysql_url), {"url": redis_url})
        self._servers = (mysql_url, redis_url)

    def call(self, method: str, *args: object) -> Any:
        """Call the npm package and return what its caller gets; `PeerError` if it rejects."""
        return self._value(self._send(method, tag(args)))

    def batch(self, calls: list[Call]) -> list[Any]:
        """Make many calls in one round trip, one after the other; the first rejection raises."""
        outcomes = self._send("batch", [{"method": call.method, "args": tag(call.args)} for call in calls])
        return [self._value(outcome) for outcome in outcomes["result"]]

    def close(self) -> None:
        """End the process: it leaves when its stdin closes, and is killed if it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._stderr.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    def _send(self, method: str, args: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._last_id += 1
        print(
            json.dumps({"id": self._last_id, "method": method, "args": args}),
            file=self._process.stdin,
            flush=True,
        )
        while True:
            reply = self._next_reply(method)
            if reply["id"] == self._last_id:  # an earlier one answers a call that was given up
                return reply

    def _next_reply(self, method: str) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=CALL_TIMEOUT)
        except queue.Empty:
            raise TimeoutError(f"the npm peer did not answer {method} within {CALL_TIMEOUT:g} s") from None
        if not line:
            self._stderr.seek(0)
            raise RuntimeError(f"the npm peer has ended:\n{self._stderr.read().decode(errors='replace')}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    @staticmethod
    def _value(outcome: dict[str, Any]) -> Any:
        if "error" in outcome:
            raise PeerError("{name}: {message}".format_map(outcome["error"]))
        return untag(outcome["result"])
