"""One connection to MySQL: bounded connecting, a session that can start over, and rest between its users."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import TYPE_CHECKING, Any

from pymysql.constants import CLIENT, COMMAND, CR, ER
from pymysql.converters import escape_string

from .encryption import with_tls
from .failures import err
from .identity import Identity
from .state import LOOK
from .talk import Talk

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from mysql_redis_cache.runtime import SharedContext

    from .effects import Effects
    from .talk import Command
    from .wire import Reply

__all__ = ["WHY_UTF8MB4", "Connection"]

_RESET_CONNECTION = 0x1F
# No reset brings back what it does; who is new is asked no such question, since many are never reset.
_GREETING = "SELECT @@init_connect AS command"
_ACCOUNT = "CONCAT_WS(' ', CURRENT_USER(), CURRENT_ROLE()) AS account"
WHY_UTF8MB4 = "values are escaped for utf8mb4, and only that carries every text"
_START_OVER_TIMEOUT = 2.0
_TRACKING = ("session_track_schema = 1", "session_track_state_change = 1")
# So that a write's GTID comes with its reply.
_GTIDS, _MARIADB_GTIDS = "session_track_gtids = OWN_GTID", "session_track_system_variables = 'last_gtid'"
# What taking a greeting apart raises that is none.
_NO_GREETING = (struct.error, LookupError, ValueError, TypeError, AttributeError, AssertionError)
_PORTS = "MySQL's port is 3306 as a rule, and 33060 is that of its X protocol"
_PACKAGES = (
    "pip install mysql-redis-cache[rsa] for caching_sha2_password and sha256_password, or connect by TLS; "
    "pip install mysql-redis-cache[ed25519] for ed25519"
)


_ZONES = (
    "the server knows offsets, such as +00:00, and names once its tables of zones are loaded "
    "(mysql_tzinfo_to_sql); or name what it is set to, time_zone=SYSTEM"
)


class _UnfitSession(Exception):
    """The session is not what it must be: values would not be safe in it, or writes not committed."""


class Connection(Talk):
    """A PyMySQL connection: cursors behave as there; the rest is for this package.

    Args:
        tls: keeps the TLS context of a pool.
        arguments: of PyMySQL's ``connect``.

    Attributes:
        idle_since: when it was last used, on the monotonic clock.
        server: the one at the other end, where it was asked for.

    Raises:
        ValueError: ``init_command`` leaves a session in which values would not be safe.
    """

    def __init__(self, tls: SharedContext, arguments: Mapping[str, Any]) -> None:
        self._tls = tls
        self._is_set_up = False
        self.idle_since = time.monotonic()
        self.server: Identity | None = None
        self._account: str | None = None  # who the session is, asked where that may change; empty if unknown
        arguments = dict(with_tls(arguments), autocommit=None)  # part of the set-up, as are these
        self._init_command = arguments.pop("init_command", None)
        self._sql_mode = arguments.pop("sql_mode", None)
        self._time_zone = arguments.pop("time_zone", None)
        self._schema: str = arguments.get("database") or ""
        self._chosen: tuple[Any, ...] | None = None
        super().__init__(**arguments)
        self._chosen = self.charset, self.encoding, self.collation, self.db
        self.autocommit_mode = True

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        return self._tls.get() or self._tls.made(lambda: self._new_ssl_ctx(sslp))

    def _new_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        try:
            context: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # not in the stubs
        except OSError as error:
            text = f"the files of ssl_ca, ssl_cert and ssl_key (or its password) are of no use: {error}"
            raise err.OperationalError(CR.CR_SSL_CONNECTION_ERROR, text) from error
        if isinstance(sslp, dict) and sslp.get("check_hostname"):
            context.check_hostname = True  # PyMySQL leaves it out where the authorities are the system's
        return context

    def connect(self, sock: Any = None) -> None:
        """Connect; ``connect_timeout`` bounds each wait, for the greeting and the login too.

        Raises:
            ValueError: ``init_command`` leaves a session in which values would not be safe.
            pymysql.err.Error: anything else.
        """
        self._is_set_up = False
        self._choose_again()
        try:
            with self._waiting_at_most(self.connect_timeout or self._read_timeout):
                super().connect(sock)
        except _UnfitSession as error:
            raise ValueError(str(error)) from None
        except RuntimeError as error:
            if "package is required" not in str(error):
                raise
            raise err.OperationalError(CR.CR_AUTH_PLUGIN_CANNOT_LOAD, f"{error}: {_PACKAGES}") from error
        except _NO_GREETING as error:
            text = f"what answers there does not speak MySQL's protocol ({error!r}): {_PORTS}"
            raise err.OperationalError(CR.CR_SERVER_HANDSHAKE_ERR, text) from error

    # The session's beginning

    def _choose_again(self) -> None:
        """Have PyMySQL know of the session what it began with, which ``set_character_set()`` may change."""
        if self._chosen is not None:
            self.charset, self.encoding, self.collation, self.db = self._chosen

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Send SET NAMES; while connecting, all that a session of ours begins with."""
        if self._is_set_up:
            super().set_character_set(charset, collation)
            return
        outcomes = self._exchange(self._beginning())
        if isinstance(outcomes[0], err.Error) and self.state.tracks:
            self.state.tracks = False  # it said so in the handshake, and does not know how to
            outcomes = self._exchange(self._beginning())
        self._begin(outcomes)
        self._is_set_up = True

    def _beginning(self) -> list[Command]:
        """The commands that make a session what it is to be."""
        names = f"NAMES utf8mb4 COLLATE {self.collation}" if self.collation else "NAMES utf8mb4"
        mode = [*self._mode(), *self._zone()]
        if self.state.tracks:
            gtids = _MARIADB_GTIDS if "mariadb" in self.server_version.lower() else _GTIDS
            settings = [", ".join([names, "autocommit = 1", *mode, *_TRACKING, gtids])]
        else:  # it may be a proxy, and those know the simplest forms best
            settings = ["autocommit = 1", names, *mode]
        statements = [f"SET {setting}" for setting in settings]
        if self._init_command is not None:
            statements += [self._init_command, LOOK]
        return [(COMMAND.COM_QUERY, statement) for statement in statements]

    def _zone(self) -> list[str]:
        return [] if self._time_zone is None else [f"time_zone = '{self._time_zone}'"]

    def _mode(self) -> list[str]:
        if self._sql_mode is not None:
            return [f"sql_mode = '{self._sql_mode}'"]
        if self.client_flag & CLIENT.IGNORE_SPACE:  # a mode by the handshake, which a reset forgets
            return ["sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'IGNORE_SPACE')"]
        return []

    def _begin(self, outcomes: Sequence[Reply | err.Error]) -> None:
        """Take the answers to ``_beginning``."""
        replies = [_successful(outcome) for outcome in outcomes]
        state = self.state
        state.begin(replies[0].status)
        if self._init_command is not None:
            state.seen(replies[-1].result_sets[0][0])
        if state.narrow:
            raise _UnfitSession(
                f"mysql_config init_command leaves the session with {state.narrow}: {WHY_UTF8MB4}"
            )
        if not state.is_at_rest:
            raise _UnfitSession("mysql_config init_command leaves a transaction open, or autocommit off")

    def start_over(self) -> bool:
        """Make the session what it was at its beginning; return whether that is so.

        What a new connection begins with by the server's ``init_connect``, and a role, no reset brings back:
        whether a routine has changed that is asked.
        """
        state = self.state
        if not state.tracks or state.is_beyond_reset:
            return False
        self._choose_again()
        if state.has_moved and not self._schema:
            return False
        back = [(COMMAND.COM_INIT_DB, self._schema)] if state.has_moved else []
        greeting = (COMMAND.COM_QUERY, f"{_GREETING}, {_ACCOUNT}" if self._account else _GREETING)
        try:
            with self._waiting_at_most(_START_OVER_TIMEOUT):
                outcomes = self._exchange([(_RESET_CONNECTION, ""), *back, *self._beginning(), greeting])
            *_, greeted = [_successful(outcome) for outcome in outcomes]
            self._begin(outcomes[1 + len(back) : -1])
        except (err.Error, _UnfitSession):
            self._force_close()  # between two states
            return False
        row = greeted.result_sets[0][0]
        return not row["command"] and row.get("account", self._account) == self._account

    # Statements

    def make_ready(self, effects: Effects, *, for_quotes: bool) -> None:
        """Have ``state`` tell how a statement with these *effects* must be written.

        Args:
            effects: the statement's.
            for_quotes: whether it takes to know what double quotes hold.

        Raises:
            pymysql.err.Error: the server's error, or the connection was lost.
        """
        state = self.state
        self._prepare(effects)
        if state.is_unsure or (for_quotes and state.sql_mode is None):
            self.look()

    def _prepare(self, effects: Effects) -> None:
        if not (effects.asks_back or effects.changes) or self._is_unread:
            return
        if self.state.is_used:
            self._forget_others(all_of_it=effects.asks_back)
        if effects.hides and self._account is None and self.state.tracks:
            self._account = self._asked_account()

    def _forget_others(self, *, all_of_it: bool) -> None:
        """Have nothing left of the statements that ran for others, or at least no id that they made."""
        if all_of_it and self.state.is_lent_afresh:
            self.start_over()
            self.ask("SELECT LAST_INSERT_ID(0)")  # a reset leaves FOUND_ROWS()
        elif self.state.has_others_id:
            self.ask("DO LAST_INSERT_ID(0)")
        self.state.has_others_id = False

    def _asked_account(self) -> str:
        try:
            return str(self.ask(f"SELECT {_ACCOUNT}").result_sets[0][0]["account"])
        except err.Error:
            if not self.open:
                raise
            return ""  # MySQL 5.7 has no roles

    def _escape_string(self, s: str) -> str:
        """Escape a string for a cursor, as the session reads it, and not as a reply's flags may have said."""
        if self.state.is_unsure and not self._is_unread:
            self.look()
        return s.replace("'", "''") if self.state.no_backslash_escapes else escape_string(s)

    def look(self) -> None:
        """Ask the server what the session is."""
        self.state.seen(self.ask(LOOK).result_sets[0][0])

    # Between its users

    @property
    def is_silent(self) -> bool:
        """Whether nothing came since the last reply: neither the server's farewell nor a late answer."""
        if self._sock is None:
            return False
        if not hasattr(select, "poll"):  # on Windows, and where eventlet has taken it away
            return not select.select([self._sock], [], [], 0)[0]
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    @property
    def is_at_rest(self) -> bool:
        """Whether it is open, all replies are read, no transaction is open and autocommit is on."""
        return self.open and not self._is_unread and self.state.is_at_rest

    @property
    def _is_unread(self) -> bool:
        """Whether a cursor has left something of a reply."""
        return self._result is not None and bool(self._result.has_next or self._result.unbuffered_active)

    def begins_use(self) -> bool:
        """Be lent; return whether that can be: after an error of the server the session may be another."""
        self.state.lend()
        if not self.state.is_unsure:
            return True
        if self.state.tracks:
            return self.start_over()
        return self.answers(_START_OVER_TIMEOUT) and self.is_at_rest  # the flags of its answer are certain

    def ends_use(self) -> bool:
        """Come back; return whether others may have it: at rest, and its session as at the beginning."""
        return self.is_at_rest and (not self.state.is_changed or self.start_over())

    def answers(self, seconds: float) -> bool:
        """Whether the server answers a ping within *seconds*."""
        try:
            with self._waiting_at_most(seconds):
                self.ping(reconnect=False)
        except (err.Error, OSError):
            return False
        return True

    def close(self) -> None:
        """Take leave of the server and close; in a forked child close without a word."""
        if os.getpid() != self._pid:
            self._force_close()
            return
        with self._waiting_at_most(1.0):
            super().close()

    def identify(self) -> Identity | None:
        """Return which server this is; None if it does not say."""
        questions = Identity.questions(self.server_version)
        named, status = self._exchange([(COMMAND.COM_QUERY, question) for question in questions])
        if isinstance(named, err.Error) or isinstance(status, err.Error):
            return None
        return Identity.of(named.result_sets[0][0], status.result_sets[0][0])

    def drop(self) -> None:
        """Close at once, without a word; never waits."""
        if self._result is not None:
            self._result.unbuffered_active = False  # its finalizer would go on reading
        self._force_close()


def _successful(outcome: Reply | err.Error) -> Reply:
    if isinstance(outcome, err.Error) and outcome.args[:1] == (ER.UNKNOWN_TIME_ZONE,):
        raise err.OperationalError(ER.UNKNOWN_TIME_ZONE, f"{outcome.args[-1]}: {_ZONES}") from outcome
    if isinstance(outcome, err.Error):
        raise outcome
    return outcome
