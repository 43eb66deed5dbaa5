"""Where log records go in a program that has not set up logging."""

from __future__ import annotations

import copy
import logging

__all__ = ["Unheard", "attend"]


class Unheard(logging.NullHandler):
    """Leaves all records to the program; of those that it has no handler for, says warnings on stderr.

    A plain ``NullHandler`` would swallow them: by it a script would run without its cache, and an application
    with its framework's default logging keep outdated entries, and never say so. They go the way that Python
    has for loggers without handlers, ``logging.lastResort``, with the logger's name in front. Any other
    handler of the package's loggers or above ends that, a plain ``NullHandler`` too.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Say a warning that nobody else hears."""
        last = logging.lastResort
        if last is None or record.levelno < last.level or self._is_heard(record.name):
            return False
        said = copy.copy(record)
        said.msg, said.args = f"{record.name}: {record.getMessage()}", None
        return bool(last.handle(said))

    def _is_heard(self, name: str) -> bool:
        """Tell whether a record of the logger *name* comes to any other handler."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(not isinstance(handler, Unheard) for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def attend(package: str) -> None:
    """Give the logger of a *package* this handler, unless it has it."""
    logger = logging.getLogger(package)
    if not any(isinstance(handler, Unheard) for handler in logger.handlers):
        logger.addHandler(Unheard())
