"""Option files of MySQL's clients, such as ``~/.my.cnf``: read at each connect, so that changes count.

https://dev.mysql.com/doc/refman/9.0/en/option-files.html
"""

from __future__ import annotations

import configparser
from pathlib import Path

from pymysql.optionfile import Parser

__all__ = ["read_option_file"]

_DEFAULT_FILE = "/etc/my.cnf"
_DEFAULT_GROUP = "client"
_NAMES = {
    "user": "user",
    "password": "password",
    "host": "host",
    "port": "port",
    "socket": "unix_socket",
    "database": "database",
    "bind-address": "bind_address",
    "ssl-ca": "ssl_ca",
    "ssl-cert": "ssl_cert",
    "ssl-key": "ssl_key",
    "ssl-mode": "ssl_mode",
}


def read_option_file(file: str | None, group: str | None) -> dict[str, object]:
    """Return the options of one group of a file, by their names here.

    Args:
        file: its path; ``/etc/my.cnf`` if not given.
        group: the name of the group; ``client`` if not given.

    Raises:
        ValueError: it cannot be read, or has no such group. What is in it is not quoted: a password may be.
    """
    file, group = file or _DEFAULT_FILE, group or _DEFAULT_GROUP
    parser = Parser(strict=False)
    try:
        with Path(file).expanduser().open(encoding="utf-8") as lines:
            parser.read_file(lines)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ValueError(f"mysql_config read_default_file {file} cannot be read: {reason}") from None
    except configparser.Error as error:
        raise ValueError(
            f"mysql_config read_default_file {file} is no option file ({type(error).__name__})"
        ) from None
    if not parser.has_section(group):
        raise ValueError(f"mysql_config read_default_file {file} has no group [{group}]")
    given = {
        name: parser.get(group, option) for option, name in _NAMES.items() if parser.has_option(group, option)
    }
    return {name: value for name, value in given.items() if value}
