"""The npm package beside ours, as the interop tests have it."""

from tests.interop.conftest import _npm, _npm_process

__all__ = ["_npm", "_npm_process"]
