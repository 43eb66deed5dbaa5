"""What an error of PyMySQL means: for the caller, and for the connection it happened on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.errors import MRCError

# Not ``pymysql.err``: Django on ``install_as_MySQLdb`` imports the driver's modules a second time, as
# ``MySQLdb.err`` and so on, and that attribute is the second one then. These are the classes that are raised.
if TYPE_CHECKING:
    from pymysql import err
else:
    from pymysql.connections import err

__all__ = [
    "err",
    "errno_of",
    "is_answer",
    "is_demotion",
    "is_failure",
    "is_not_now",
    "is_unanswered",
    "is_unavailable",
    "mark_unanswered",
]

# Server errors after which the session is over, or that say it never began:
# https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/
_FAREWELLS = frozenset(
    [
        1053,  # server shutdown
        1080,  # forced close
        1152,  # connection aborted
        1158,  # error reading from the network
        1159,  # timeout reading
        1160,  # error writing
        1161,  # timeout writing
        1184,  # connection aborted
        1927,  # MariaDB: connection was killed
        4031,  # MySQL: disconnected because of inactivity
    ]
)
_REFUSALS = frozenset(
    [
        1040,  # too many connections
        1041,  # out of resources
        1129,  # this host is blocked
        1203,  # this account has too many connections
        1226,  # this account has used up its resources
    ]
)
# Answers that say "not now, and not me", of a server that is up and serves nobody, or of a proxy before it.
_NOT_NOW = frozenset(
    [
        1037,  # out of memory
        1047,  # Galera: this node has not joined yet
        1105,  # proxies: no server behind them
        1135,  # no more threads
        3032,  # offline mode
        3100,  # group replication: not a member of the group now
        3168,  # the server is not available
        9001,  # ProxySQL: no server of the group in time; TiDB: its placement driver
        9002,  # ProxySQL: no server of the group; TiDB: a store in time
        9003,  # TiDB: a store is busy
        9005,  # TiDB: a region is not available
    ]
)
_UNSPECIFIC = 1105
# Answers that say what was wrong, after which the server hangs up.
_LAST_ANSWERS = frozenset([1153])  # packet larger than max_allowed_packet
_DEMOTIONS = frozenset(
    [
        1290,  # the server runs with --read-only (or another option) and so does not execute this
        1792,  # the session is read-only, as on a server that was a primary before
        1836,  # read-only mode
    ]
)
_LOST = frozenset(
    [
        0,  # the connection is closed
        2001,  # no socket
        2002,  # cannot connect over the socket file
        2003,  # cannot connect
        2005,  # unknown host
        2006,  # gone away
        2012,  # error in the handshake
        2013,  # lost during the query
        2014,  # commands out of sync
        2026,  # TLS
        2027,  # malformed packet
        2055,  # lost, with the system's error
    ]
)


def is_failure(error: BaseException) -> bool:
    """Whether a query raised *error* of its own accord: everybody who asked the same would be told so."""
    return isinstance(error, (err.Error, MRCError, TypeError, ValueError))


def errno_of(error: BaseException) -> int | None:
    """Return the number MySQL or PyMySQL gave an error."""
    number = error.args[0] if isinstance(error, err.Error) and error.args else None
    return number if isinstance(number, int) else None


def is_answer(error: BaseException) -> bool:
    """Whether *error* is what the server answered to a statement, so that the connection is ready for more.

    Everything else, a timeout, a lost connection, an exception out of a signal handler or out of the user's
    own code, may have left part of a reply behind.
    """
    errno = errno_of(error)
    if errno is None or errno < 1000 or 2000 <= errno < 3000:
        return False
    return errno not in _FAREWELLS and errno not in _LAST_ANSWERS and not is_not_now(error)


def is_not_now(error: BaseException | None) -> bool:
    """Whether *error* is an answer that says nothing of the statement: elsewhere it may succeed."""
    errno = error and errno_of(error)
    # By the same number MySQL itself answers what is wrong with an XPath.
    return errno in _NOT_NOW and not (errno == _UNSPECIFIC and "xpath" in str(error).lower())


def is_unavailable(error: err.Error) -> bool:
    """Whether *error* says that MySQL cannot be reached or hung up, and nothing about a statement."""
    errno = errno_of(error)
    if errno is None:
        return isinstance(error, err.InternalError)  # PyMySQL: packet sequence number wrong
    return errno in _LOST or errno in _FAREWELLS or errno in _REFUSALS or is_not_now(error)


def mark_unanswered(error: BaseException) -> None:
    """Note that a connection was lost before anything of the reply came.

    An attribute, so that what tracebacks show is PyMySQL's own class.
    """
    error.__dict__["is_unanswered"] = True


def is_unanswered(error: BaseException | None) -> bool:
    """Whether *error* was marked so."""
    return getattr(error, "is_unanswered", False)


def is_demotion(error: BaseException) -> bool:
    """Whether *error* says that the server takes no writes: behind its name there may be another by now."""
    return errno_of(error) in _DEMOTIONS
