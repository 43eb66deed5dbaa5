"""Run something in a forked child and get its answer, within a bound of time."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_child"]


def in_child(work: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    """Fork, call *work* in the child, and return its result, which must have a JSON form.

    Raises:
        AssertionError: the child raised, died, or did not answer in time (it is killed then).
    """
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads about is the point
        pid = os.fork()
    if pid == 0:
        _answer(work, writes)
    os.close(writes)
    try:
        answer = _read(reads, seconds)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reads)
    assert answer, f"the child did not answer within {seconds:g} s"
    told = json.loads(answer)
    assert "error" not in told, told.get("error")
    return told["result"]


def _answer(work: Callable[[], Any], writes: int) -> None:
    try:
        try:
            told = {"result": work()}
        except BaseException:
            told = {"error": traceback.format_exc()}
        os.write(writes, json.dumps(told).encode()[:60_000])
        sys.stderr.flush()
    finally:
        os._exit(0)


def _read(reads: int, seconds: float) -> bytes:
    ready, _, _ = select.select([reads], [], [], seconds)
    return os.read(reads, 65_536) if ready else b""
