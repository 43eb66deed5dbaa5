"""Child processes that answer questions: one JSON object per line on stdin, one per line on stdout."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import tempfile
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_SECONDS = 120.0


class ChildError(RuntimeError):
    """The child ended, answered an error, or did not answer in time; the message holds what it wrote."""


class Child:
    """A script run by an interpreter of its own, isolated from this project's paths.

    Args:
        python: the interpreter.
        script: a file that imports nothing of ours; its first line of output is its greeting.
        orders: what it is to do, its only argument, as JSON.

    """

    def __init__(self, python: str, script: Path, orders: dict[str, Any]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - close() closes it
        self._process = subprocess.Popen(
            [python, "-I", str(script), json.dumps(orders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout

    @cached_property
    def hello(self) -> dict[str, Any]:
        """The greeting; must be read before the first question, and waits until the child is ready."""
        return self.answer()

    def ask(self, **question: Any) -> dict[str, Any]:
        """Send a question and wait for its answer.

        Raises:
            ChildError: see there.
        """
        self.send(**question)
        return self.answer()

    def send(self, **question: Any) -> None:
        """Send a question only; :meth:`answer` waits, so that several children can work at once."""
        print(json.dumps(question), file=self._questions, flush=True)

    def answer(self) -> dict[str, Any]:
        """The answer to the question sent last.

        Raises:
            ChildError: see there.
        """
        readable, _, _ = select.select([self._answers], [], [], ANSWER_SECONDS)
        line = self._answers.readline() if readable else ""
        if not line:
            raise ChildError(f"no answer within {ANSWER_SECONDS:g} s or at all:\n{self._written()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer

    def freeze(self) -> None:
        """Have it stand still."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process: its input ends, and if that does not do, it is killed."""
        self._questions.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._answers.close()
        self._errors.close()

    def _written(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:]
