"""Commands run as a shell would: in a terminal of 80 × 24, or with pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Answer = tuple[str, str | Callable[[], object]]

__all__ = ["CODES", "in_pipe", "in_terminal"]

COMMAND = [sys.executable, "-m", "mysql_redis_cache"]
PATIENCE = 30.0
CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def in_pipe(
    *arguments: str, env: Mapping[str, str], given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line with pipes for all that it reads and writes."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=os.environ | env,
        input=given or "",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def in_terminal(
    *arguments: str, env: Mapping[str, str], answers: Sequence[Answer] = (), raw: bool = False
) -> tuple[int, str]:
    """Run the command line in a terminal.

    Args:
        arguments: those of the command.
        env: beside the environment of the tests.
        answers: what is typed, or called, once some text has appeared.
        raw: with the codes for colours and the cursor.

    Returns:
        its exit code, and all that it wrote.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=os.environ | {"TERM": "xterm-256color"} | env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        seen = _talk(ours, list(answers))
        code = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    text = seen.replace("\r\n", "\n")
    return code, text if raw else CODES.sub("", text)


def _talk(terminal: int, answers: list[Answer]) -> str:
    """Read until the other side closes, and do what is to be done."""
    seen, place, until = "", 0, time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if answers and (found := seen.find(answers[0][0], place)) >= 0:
            place = found + len(answers[0][0])
            _, answer = answers.pop(0)
            _ = os.write(terminal, answer.encode()) if isinstance(answer, str) else answer()
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux's end of a terminal
            return seen
        if not chunk:
            return seen
        seen += chunk.decode("utf-8", "replace")
    raise TimeoutError(f"the command did not end; it wrote\n{seen}")
