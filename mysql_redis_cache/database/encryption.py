"""What is asked of TLS, in the form in which PyMySQL takes all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["with_tls"]

_FILES = {"ssl_ca": "ca", "ssl_cert": "cert", "ssl_key": "key", "ssl_key_password": "password"}
_OPTIONS = {*_FILES, "ssl_verify_cert", "ssl_verify_identity"}


def with_tls(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of PyMySQL's ``connect`` in its older form: in the newer it takes some for nothing."""
    rest = {name: value for name, value in arguments.items() if name not in _OPTIONS}
    if len(rest) == len(arguments):
        return rest
    identity = bool(arguments.get("ssl_verify_identity"))
    tls = {key: arguments[name] for name, key in _FILES.items() if name in arguments}
    tls["check_hostname"], tls["verify_mode"] = identity, identity or bool(arguments.get("ssl_verify_cert"))
    return {**rest, "ssl": tls}
